//! Receiving OTLP/HTTP: formats, limits, errors, and connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use chassis::HumanDuration;
use http::StatusCode;
use http_body_util::Full;
use prost::Message;
use serde_json::Value;
use telemetry_forwarder::Config;

use crate::support::client::{post, post_traces, send, send_h2};
use crate::support::samples::{gzip, numbered_names, traces};
use crate::support::sink::{Reply, Sink};
use crate::support::{TestForwarder, config, wait_until};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[tokio::test]
async fn responds_to_protobuf_with_an_empty_message_and_forwards_it() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let response = send(forwarder.http, post_traces(traces(["a", "b"]))).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.headers["content-type"], "application/x-protobuf");
    assert!(response.body.is_empty());
    wait_until("two spans", || sink.spans() == ["a", "b"]).await;
}

#[tokio::test]
async fn responds_to_json_with_an_empty_object_and_forwards_protobuf() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"from json","kind":1}]}]}]}"#;
    let headers = [("content-type", "application/json; charset=utf-8")];
    let response = send(forwarder.http, post("/v1/traces", &headers, json)).await;

    assert_eq!(
        (response.status, &response.body[..]),
        (StatusCode::OK, &b"{}"[..])
    );
    assert_eq!(response.headers["content-type"], "application/json");
    wait_until("the span", || sink.spans() == ["from json"]).await;
}

#[tokio::test]
async fn accepts_empty_requests_and_sends_none() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    for (headers, body) in [
        (&[PROTOBUF][..], Vec::new()),
        (&[PROTOBUF, GZIP][..], gzip(b"")),
        // Some clients label an empty body as gzip.
        (&[PROTOBUF, GZIP][..], Vec::new()),
        (&[PROTOBUF][..], traces(Vec::<String>::new())),
        (&[JSON][..], b"{}".to_vec()),
    ] {
        let response = send(forwarder.http, post("/v1/traces", headers, body)).await;
        assert_eq!(response.status, StatusCode::OK, "{headers:?}");
    }

    forwarder.stop().await;
    assert!(sink.requests().is_empty());
}

#[tokio::test]
async fn accepts_gzip_and_identity() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let identity = ("content-encoding", "identity");
    let compressed = post(
        "/v1/traces",
        &[PROTOBUF, GZIP],
        gzip(&traces(["compressed"])),
    );
    let plain = post("/v1/traces", &[PROTOBUF, identity], traces(["plain"]));
    assert_eq!(
        send(forwarder.http, compressed).await.status,
        StatusCode::OK
    );
    assert_eq!(send(forwarder.http, plain).await.status, StatusCode::OK);
    wait_until("both", || sink.spans() == ["compressed", "plain"]).await;
}

#[tokio::test]
async fn rejects_large_bodies_before_and_after_decompression() {
    let small = Config {
        max_body_bytes: 100_000,
        ..config("")
    };
    let forwarder = TestForwarder::start(small).await;
    // One byte above the limit; as gzip it is far below.
    let large = vec![0; 100_001];
    // A decompression bomb: 100 MiB that fit the limit while compressed.
    let bomb = gzip(&vec![0; 100 << 20]);

    assert!(bomb.len() < 1 << 20);
    let bomb = &bomb[..];
    for (headers, body) in [
        (&[PROTOBUF][..], &large[..]),
        (&[PROTOBUF, GZIP], &gzip(&large)),
    ] {
        let response = send(forwarder.http, post("/v1/traces", headers, body.to_vec())).await;
        assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    let larger = TestForwarder::start(Config {
        max_body_bytes: 1 << 20,
        ..config("")
    })
    .await;
    let response = send(
        larger.http,
        post("/v1/traces", &[PROTOBUF, GZIP], bomb.to_vec()),
    )
    .await;

    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn lets_a_client_that_is_still_writing_read_the_rejection() {
    let forwarder = TestForwarder::start(Config {
        max_body_bytes: 1000,
        ..config("")
    })
    .await;

    // Written without reading, as simple clients do.
    let sending = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(forwarder.http).unwrap();
        let head = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
            Content-Type: application/x-protobuf\r\nContent-Length: 41943040\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![0; 40 << 20]).unwrap();
        let mut response = String::new();

        stream.read_to_string(&mut response).unwrap();
        response
    });

    let response = sending.await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
}

/// Writes `first`, expects the response to start with `expected`, writes `then`, and returns the rest.
async fn talk(
    address: SocketAddr,
    first: Vec<u8>,
    expected: &'static str,
    then: Vec<u8>,
) -> String {
    let talking = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&first).unwrap();
        let mut start = vec![0; expected.len()];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(String::from_utf8_lossy(&start), expected);
        stream.write_all(&then).unwrap();
        let mut rest = String::new();

        stream.read_to_string(&mut rest).unwrap();
        rest
    });

    talking.await.unwrap()
}

fn head(more: &str) -> Vec<u8> {
    let fixed = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
        Content-Type: application/x-protobuf\r\n";
    format!("{fixed}{more}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn accepts_chunked_bodies_and_sends_100_continue() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let body = traces(["expect"]);
    let length = body.len();
    let asking = head(&format!("Expect: 100-continue\r\nContent-Length: {length}"));
    let rest = talk(
        forwarder.http,
        asking,
        "HTTP/1.1 100 Continue\r\n\r\n",
        body,
    )
    .await;

    assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");

    let body = traces(["chunked"]);
    // Two chunks, so that the body must be joined.
    let (left, right) = body.split_at(7);
    let mut chunked = head("Transfer-Encoding: chunked");
    for part in [left, right, &[]] {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }

    talk(forwarder.http, chunked, "HTTP/1.1 200 OK\r\n", Vec::new()).await;
    wait_until("both", || sink.spans() == ["chunked", "expect"]).await;
}

#[tokio::test]
async fn rejects_before_the_body_when_the_client_expects_100_continue() {
    let forwarder = TestForwarder::start(Config {
        max_body_bytes: 1000,
        ..config("")
    })
    .await;
    let asking = head("Expect: 100-continue\r\nContent-Length: 1001");
    talk(forwarder.http, asking, "HTTP/1.1 413", Vec::new()).await;
}

#[tokio::test]
async fn times_out_when_a_client_stops_half_way() {
    let body_timeout = HumanDuration::from_millis(300);
    let forwarder = TestForwarder::start(Config {
        body_timeout,
        ..config("")
    })
    .await;
    let start = Instant::now();
    let half = [head("Content-Length: 100"), vec![0; 50]].concat();
    talk(forwarder.http, half, "HTTP/1.1 408", Vec::new()).await;
    assert!(start.elapsed() >= body_timeout.duration());
}

#[tokio::test]
async fn rejects_malformed_requests_with_a_status_in_the_same_format() {
    let forwarder = TestForwarder::start(config("")).await;
    // A field of length 5 with a single byte.
    let broken = post_traces(&b"\x0a\x05\x01"[..]);
    let response = send(forwarder.http, broken).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert_eq!(response.headers["content-type"], "application/x-protobuf");

    let status = RpcStatus::decode(&response.body[..]).unwrap();
    assert!(status.message.contains("ends too early"), "{status:?}");
    assert_eq!(status.code, 3);

    let response = send(
        forwarder.http,
        post("/v1/traces", &[JSON], "{\"resourceSpans\":1}"),
    )
    .await;

    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    let status: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(status["code"], 3);

    let kind = &status["details"][0]["@type"];
    assert_eq!(kind, "type.googleapis.com/google.rpc.BadRequest");

    let not_gzip = post("/v1/traces", &[PROTOBUF, GZIP], "plain");
    assert_eq!(
        send(forwarder.http, not_gzip).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn rejects_unknown_encodings_types_methods_and_paths() {
    let forwarder = TestForwarder::start(config("")).await;
    let brotli = ("content-encoding", "br");
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[PROTOBUF, brotli],
    ] {
        let response = send(forwarder.http, post("/v1/traces", headers, "x")).await;
        assert_eq!(
            response.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{headers:?}"
        );
    }

    let mut not_ascii = post_traces("x");
    not_ascii.headers_mut().insert(
        "content-type",
        http::HeaderValue::from_bytes(b"a\xff").unwrap(),
    );
    assert_eq!(
        send(forwarder.http, not_ascii).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );

    // The path exists, so this is 405 and not 404.
    let get = http::Request::get("/v1/traces")
        .body(Full::default())
        .unwrap();
    let response = send(forwarder.http, get).await;

    assert_eq!(response.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers["allow"], "POST");

    let elsewhere = post("/v1/profiles", &[PROTOBUF], "");
    assert_eq!(
        send(forwarder.http, elsewhere).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn returns_retry_after_when_the_queue_is_full() {
    let sink = Sink::start().await;
    sink.respond_with(|_| Reply::status(503));
    let first = traces(numbered_names("first", 20));
    let small = Config {
        // At most the size of the queue, or the settings would be refused.
        max_body_bytes: first.len(),
        max_queue_bytes: first.len() + 1,
        ..config(sink.url())
    };
    let forwarder = TestForwarder::start(small).await;
    let accepted = send(forwarder.http, post_traces(first)).await;

    assert_eq!(accepted.status, StatusCode::OK);
    let response = send(forwarder.http, post_traces(traces(["second"]))).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers["retry-after"], "1");

    // Accepts requests again once the queue has drained.
    sink.respond_with(|_| Reply::status(200));
    wait_until("an empty queue", || sink.spans().len() == 20).await;
    let response = send(forwarder.http, post_traces(traces(["third"]))).await;
    assert_eq!(response.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_does_not_grow_without_a_limit() {
    let sink = Sink::start().await;
    let settings = Config {
        resource: [("service.namespace".to_owned(), "x".repeat(200))].into(),
        max_body_bytes: 100_000,
        ..config(sink.url())
    };
    let forwarder = TestForwarder::start(settings).await;

    // Envelopes without an item are not even sent on, so they cost nothing.
    let empty = [[0x0a, 0x00].repeat(40_000), traces(["kept"])].concat();
    let response = send(forwarder.http, post_traces(empty)).await;
    assert_eq!(response.status, StatusCode::OK);
    wait_until("the span", || sink.spans() == ["kept"]).await;

    // Envelopes with an empty span each take 6 bytes, and 230 with their attribute.
    let small = [0x0a, 4, 0x12, 2, 0x12, 0].repeat(16_000);
    let response = send(forwarder.http, post_traces(small)).await;
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn accepts_http_2_and_either_protocol_on_either_port() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let uri = format!("http://{}/v1/traces", forwarder.grpc);
    let h2 = send_h2(forwarder.grpc, post(&uri, &[PROTOBUF], traces(["h2"]))).await;
    assert_eq!(h2.status, StatusCode::OK);
    wait_until("the span", || sink.spans() == ["h2"]).await;
}

#[tokio::test]
async fn sends_metrics_and_logs_to_their_paths() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#;
    let logs =
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"l"}}]}]}]}"#;

    for (path, json) in [("/v1/metrics", metrics), ("/v1/logs", logs)] {
        let response = send(forwarder.http, post(path, &[JSON], json)).await;
        assert_eq!(response.status, StatusCode::OK);
    }

    wait_until("both", || sink.requests().len() == 2).await;
    let mut paths: Vec<String> = sink
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    paths.sort();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics"]);
}
