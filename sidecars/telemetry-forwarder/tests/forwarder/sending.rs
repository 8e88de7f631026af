//! Sending OTLP/HTTP: batches, retries, partial success, permanent errors, TLS, and the file sink.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use chassis::{HumanDuration, Secret};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use telemetry_forwarder::{Compression, Config};
use tokio_rustls::TlsAcceptor;

use crate::support::client::deliver;
use crate::support::samples::{numbered_names, traces};
use crate::support::sink::{Reply, Sink, names};
use crate::support::{TestForwarder, config, wait_until};

#[tokio::test]
async fn batches_and_compresses_requests() {
    let sink = Sink::start().await;
    let batch_timeout = HumanDuration::from_millis(300);
    let forwarder = TestForwarder::start(Config {
        batch_timeout,
        ..config(sink.url())
    })
    .await;

    for name in numbered_names("", 10) {
        deliver(forwarder.http, traces([name])).await;
    }
    wait_until("ten spans", || sink.spans() == numbered_names("", 10)).await;
    // A busy host may split the requests over several batches, but not into ten.
    assert!(sink.requests().len() < 10);
    let headers = &sink.requests()[0].headers;

    assert_eq!(headers["content-encoding"], "gzip");
    assert_eq!(headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn sends_uncompressed_with_headers_to_a_base_path() {
    let sink = Sink::start().await;
    let settings = Config {
        compression: Compression::None,
        headers: Secret::new("authorization=Bearer%20t".to_owned()),
        ..config(format!("{}/otlp/", sink.url()))
    };
    let forwarder = TestForwarder::start(settings).await;

    deliver(forwarder.http, traces(["a"])).await;
    wait_until("a request", || !sink.requests().is_empty()).await;
    let received = sink.requests().remove(0);
    assert_eq!(received.path, "/otlp/v1/traces");
    assert_eq!(received.headers["authorization"], "Bearer t");
    assert!(!received.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn splits_a_request_with_too_many_items() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(Config {
        max_batch_items: 10,
        ..config(sink.url())
    })
    .await;

    deliver(forwarder.http, traces(numbered_names("", 35))).await;
    wait_until("all spans", || sink.spans() == numbered_names("", 35)).await;
    assert!(
        sink.traces()
            .iter()
            .all(|request| names(request).len() <= 10)
    );
}

#[tokio::test]
async fn retries_until_the_backend_accepts() {
    let sink = Sink::with_script([503, 504].map(Reply::status)).await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    deliver(forwarder.http, traces(["a"])).await;
    wait_until("the span", || sink.spans() == ["a"]).await;
    assert_eq!(sink.requests().len(), 3);
}

#[tokio::test]
async fn follows_retry_after_in_seconds_and_as_a_date() {
    let (now, start) = (SystemTime::now(), Instant::now());
    // HTTP dates have whole seconds, so the time is compared after rounding.
    let date = httpdate::fmt_http_date(now + Duration::from_secs(3));
    let due = httpdate::parse_http_date(&date).unwrap();
    let sink = Sink::with_script([
        Reply::status(503).header("retry-after", "1"),
        Reply::status(429).header("retry-after", date),
    ])
    .await;
    let forwarder = TestForwarder::start(config(sink.url())).await;

    deliver(forwarder.http, traces(["a"])).await;
    wait_until("the span", || sink.spans() == ["a"]).await;
    let times: Vec<Instant> = sink.requests().iter().map(|request| request.at).collect();
    assert!(times[1] - times[0] >= Duration::from_secs(1));
    assert!(now + (times[2] - start) >= due);
}

#[tokio::test]
async fn does_not_retry_after_a_partial_success() {
    // partial_success { rejected: 1, error_message: "x" }
    let body = vec![0x0a, 0x05, 0x08, 0x01, 0x12, 0x01, b'x'];
    let sink = Sink::with_script([Reply {
        body,
        ..Reply::status(200)
    }])
    .await;
    let forwarder = TestForwarder::start(config(sink.url())).await;

    deliver(forwarder.http, traces(["a", "b"])).await;
    wait_until("a request", || sink.requests().len() == 1).await;
    deliver(forwarder.http, traces(["c"])).await;
    wait_until("another", || sink.requests().len() == 2).await;
    forwarder.stop().await;
    assert_eq!(sink.spans(), ["a", "b", "c"]);
}

#[tokio::test]
async fn drops_permanently_refused_requests_and_continues() {
    // Both are permanent by the OTLP specification, unlike 503.
    let sink = Sink::with_script([Reply::status(401), Reply::status(500)]).await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    for name in ["a", "b", "c"] {
        let before = sink.requests().len();
        deliver(forwarder.http, traces([name])).await;
        wait_until("an attempt", || sink.requests().len() > before).await;
    }
    wait_until("the third", || sink.spans() == ["c"]).await;
    assert_eq!(sink.requests().len(), 3);
}

#[tokio::test]
async fn drops_only_the_invalid_span_of_a_batch() {
    let sink = Sink::start().await;
    sink.respond_with(|body| {
        let is_invalid = body.windows(6).any(|part| part == b"broken");
        Reply::status(if is_invalid { 400 } else { 200 })
    });
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let mut spans = numbered_names("", 50);
    spans.insert(17, "broken".to_owned());
    deliver(forwarder.http, traces(spans)).await;
    wait_until("all others", || sink.spans() == numbered_names("", 50)).await;
}

#[tokio::test]
async fn refused_requests_cost_the_others_of_their_batch_nothing() {
    let sink = Sink::start().await;
    sink.respond_with(|body| {
        let is_invalid = body.windows(6).any(|part| part == b"broken");
        Reply::status(if is_invalid { 400 } else { 200 })
    });
    // Long enough for all of them to be in one batch.
    let settings = Config {
        batch_timeout: HumanDuration::from_secs(2),
        ..config(sink.url())
    };
    let forwarder = TestForwarder::start(settings).await;
    let mut expected = Vec::new();
    for sender in 0..44 {
        if sender % 11 == 5 {
            deliver(forwarder.http, traces(vec!["broken"; 100])).await;
        } else {
            let names = numbered_names(&format!("{sender:02}-"), 100);
            expected.extend(names.clone());
            deliver(forwarder.http, traces(names)).await;
        }
    }
    forwarder.stop().await;
    assert_eq!(sink.spans(), expected);
}

#[tokio::test]
async fn limits_the_splits_when_a_backend_refuses_everything() {
    let sink = Sink::start().await;
    sink.respond_with(|_| Reply::status(400));
    let forwarder = TestForwarder::start(config(sink.url())).await;
    deliver(forwarder.http, traces(numbered_names("", 1000))).await;
    forwarder.stop().await;
    // 64 splits make 129 requests at most, instead of about 2000 for 1000 spans.
    assert!(sink.requests().len() < 140, "{}", sink.requests().len());
}

#[tokio::test]
async fn accepts_requests_while_the_backend_is_unreachable() {
    let listener = crate::support::bind().await;
    let address = listener.local_addr().unwrap();
    // A port that was free a moment ago, so connections to it are refused.
    drop(listener);
    let forwarder = TestForwarder::start(config(format!("http://{address}"))).await;
    deliver(forwarder.http, traces(["a"])).await;
    deliver(forwarder.http, traces(["b"])).await;
}

#[tokio::test]
async fn sends_over_tls_to_a_backend_trusted_by_the_ca_file() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();

    let sink = Sink::secure(TlsAcceptor::from(Arc::new(server))).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, cert.pem()).unwrap();

    let url = format!("https://{}", sink.address);
    let ca_file = ca_file.to_str().unwrap().to_owned();
    let trusting = TestForwarder::start(Config {
        ca_file,
        ..config(&url)
    })
    .await;

    deliver(trusting.http, traces(["trusted"])).await;
    wait_until("the span", || sink.spans() == ["trusted"]).await;

    // The same server without the CA file: the self-signed certificate is rejected.
    let untrusting = TestForwarder::start_with(config(url), None, Duration::from_secs(1)).await;
    deliver(untrusting.http, traces(["not trusted"])).await;
    untrusting.stop().await;
    assert_eq!(sink.spans(), ["trusted"]);
}

#[tokio::test]
async fn writes_a_line_of_json_per_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/telemetry.jsonl");
    let forwarder = TestForwarder::start(config(format!("file:{}", path.display()))).await;
    deliver(forwarder.http, traces(["a"])).await;

    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    wait_until("a line", || lines().lines().count() == 1).await;
    deliver(forwarder.http, traces(["b"])).await;
    forwarder.stop().await;

    let text = lines();
    let parsed: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    assert_eq!(parsed.len(), 2);
    let span = &parsed[1]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["name"], "b");
    assert_eq!(span["traceId"], "0102030405060708090a0b0c0d0e0f10");
}
