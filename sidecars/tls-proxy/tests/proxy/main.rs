//! The proxy from the client's side, over real TLS on the loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod drain;
mod handshake;
#[path = "../support/mod.rs"]
mod support;
mod websocket;

use std::{net::SocketAddr, sync::Arc};

use chassis::{HumanDuration, Secret, Settings, http::empty};
use http_body_util::channel::Channel;
use support::{
    Authority, BOTH, Request, answer, get, h1, h2, handshake, mirror, next_hop, proxy, text, within,
};
use tls_proxy::{Config, Listeners, MinVersion, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};

/// Returns an address where nothing listens: bound to find a free port, then closed.
async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn forwards_http1() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let mut client = h1(&proxy).await;
    for _ in 0..2 {
        let seen = text(
            within(client.send_request(get("/coins?x=1")))
                .await
                .unwrap(),
        )
        .await;

        assert!(seen.starts_with("GET /coins?x=1\n"), "{seen}");
        for line in [
            "host: localhost",
            "x-forwarded-proto: https",
            "x-forwarded-for: 127.0.0.1",
        ] {
            assert!(seen.contains(line), "{line} is missing in {seen}");
        }
    }
}

#[tokio::test]
async fn forwards_http2_as_http1() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let mut client = h2(&proxy).await;
    let request = ::http::Request::get("https://localhost/coins")
        .body(empty())
        .unwrap();
    let seen = text(within(client.send_request(request)).await.unwrap()).await;
    assert!(seen.starts_with("GET /coins\n"), "{seen}");
    assert!(seen.contains("host: localhost\n"), "{seen}");
    assert!(seen.contains("x-forwarded-host: localhost\n"), "{seen}");
}

#[tokio::test]
async fn forwards_bodies_in_both_directions() {
    let echo = next_hop(|request: Request| async move {
        support::Response::new(chassis::http::box_body(request.into_body()))
    });
    let proxy = proxy(echo.await, |_| {}).await;
    let body = "coin".repeat(250_000);
    let request = || {
        let request = ::http::Request::post("https://localhost/").header("host", "localhost");
        request.body(chassis::http::full(body.clone())).unwrap()
    };

    let mut http1 = h1(&proxy).await;
    assert_eq!(
        text(within(http1.send_request(request())).await.unwrap()).await,
        body
    );

    let mut http2 = h2(&proxy).await;
    assert_eq!(
        text(within(http2.send_request(request())).await.unwrap()).await,
        body
    );
}

/// The next hop rejects a request without reading the body, while the client is still sending it.
#[tokio::test]
async fn an_early_rejection_reaches_a_client_that_is_still_sending() {
    let rejecting = next_hop(|_: Request| async {
        chassis::http::problem(::http::StatusCode::UNAUTHORIZED, "no", "no")
    });
    let proxy = proxy(rejecting.await, |_| {}).await;
    let part = vec![b'x'; 64 * 1024];

    for version in ["h1", "h2"] {
        let (mut body, receiver) = Channel::<bytes::Bytes, chassis::BoxError>::new(1);
        let request = ::http::Request::post("https://localhost/").header("host", "localhost");
        let request = request.body(chassis::http::box_body(receiver)).unwrap();
        let answering = async {
            match version {
                "h1" => h1(&proxy).await.send_request(request).await,
                _ => h2(&proxy).await.send_request(request).await,
            }
        };

        let sending = async {
            // 6.4 MB, more than fits into the buffers on the way.
            for _ in 0..100 {
                body.send_data(part.clone().into()).await?;
            }
            drop(body);
            Ok::<_, http_body_util::channel::SendError>(())
        };

        let (response, sent) = within(Box::pin(async { tokio::join!(answering, sending) })).await;
        assert_eq!(response.unwrap().status(), 401, "{version}");
        assert!(sent.is_ok(), "{version}: the proxy stopped taking the body");
    }
}

#[tokio::test]
async fn replaces_spoofed_forwarded_headers() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let mut request = get("/");
    request
        .headers_mut()
        .insert("x-forwarded-for", "10.0.0.1".parse().unwrap());

    let seen = text(
        within(h1(&proxy).await.send_request(request))
            .await
            .unwrap(),
    )
    .await;
    assert!(!seen.contains("10.0.0.1"), "{seen}");
}

#[tokio::test]
async fn forwards_the_trace_context() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let mut request = get("/");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request
        .headers_mut()
        .insert("traceparent", trace.parse().unwrap());

    let seen = text(
        within(h1(&proxy).await.send_request(request))
            .await
            .unwrap(),
    )
    .await;

    assert!(
        seen.contains("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"),
        "{seen}"
    );
}

#[tokio::test]
async fn answers_503_with_retry_after_if_the_next_hop_is_unreachable() {
    let proxy = proxy(closed_port().await, |_| {}).await;
    let response = within(h1(&proxy).await.send_request(get("/")))
        .await
        .unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn rejects_a_request_with_two_hosts() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let mut request = get("/");
    request
        .headers_mut()
        .append("host", "other".parse().unwrap());
    let response = within(h1(&proxy).await.send_request(request))
        .await
        .unwrap();
    assert_eq!(response.status(), 400);
}

#[test]
fn reports_a_mismatched_key_before_serving() {
    let (authority, other) = (Authority::new(), Authority::new());
    let config = Config {
        upstream: Some("http://127.0.0.1:1".into()),
        certificate: Secret::new(authority.certificate),
        key: Secret::new(other.key),
        ..Config::default()
    };

    // The settings alone are valid; only loading finds the mismatch.
    assert!(config.problems().is_empty());
    let problems = Proxy::new(&config).unwrap_err().into_problems();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].setting, "key");
    assert_eq!(problems[0].message, "does not match the certificate");
}

#[test]
fn loads_the_certificate_from_files() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (
        folder.path().join("chain.pem"),
        folder.path().join("key.pem"),
    );

    std::fs::write(&chain, authority.certificate).unwrap();
    let mut config = Config {
        upstream: Some("http://127.0.0.1:1".into()),
        certificate_file: Some(chain),
        key_file: Some(key.clone()),
        ..Config::default()
    };

    let missing = Proxy::new(&config).unwrap_err().into_problems();
    assert_eq!(missing[0].setting, "key_file");
    assert!(
        missing[0].message.contains("key.pem"),
        "{}",
        missing[0].message
    );
    std::fs::write(&key, authority.key).unwrap();
    assert!(Proxy::new(&config).is_ok());

    config.key_file = None;
    let missing = Proxy::new(&config).unwrap_err().into_problems();
    assert_eq!(missing[0].message, "contains no private key");
}

#[tokio::test]
async fn adds_hsts_to_every_response() {
    let value = "max-age=31536000; includeSubDomains";
    let proxy = proxy(mirror().await, |config| config.hsts = Some(value.into())).await;
    let response = within(h1(&proxy).await.send_request(get("/")))
        .await
        .unwrap();
    assert_eq!(response.headers()["strict-transport-security"], value);
}

/// A gRPC call: HTTP/2 on both sides, trailers at the end of the response.
#[tokio::test]
async fn forwards_grpc_with_its_trailers() {
    // hyper directly, because chassis's server removes `te`.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hop = listener.local_addr().unwrap();
    let answering = |request: ::http::Request<hyper::body::Incoming>| async move {
        let te = request.headers().get("te").cloned();
        assert_eq!(request.uri().authority().unwrap(), "localhost");
        let (mut body, receiver) = Channel::<bytes::Bytes, chassis::BoxError>::new(1);
        tokio::spawn(async move {
            body.send_data("message".into()).await.unwrap();
            let mut trailers = ::http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            // Reports what the next hop received as `te`.
            trailers.insert("te-was", te.unwrap_or("missing".parse().unwrap()));
            body.send_trailers(trailers).await.unwrap();
        });
        Ok::<_, std::convert::Infallible>(::http::Response::new(receiver))
    };

    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .serve_connection(
                hyper_util::rt::TokioIo::new(stream),
                hyper::service::service_fn(answering),
            )
            .await
    });

    let proxy = proxy(hop, |config| {
        config.upstream_protocol = chassis::http::UpstreamProtocol::Http2;
    })
    .await;
    let mut client = h2(&proxy).await;

    for _ in 0..3 {
        let request = ::http::Request::post("https://localhost/coins.Coins/Value")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(empty())
            .unwrap();
        let response = within(client.send_request(request)).await.unwrap();
        let body = within(http_body_util::BodyExt::collect(response.into_body()))
            .await
            .unwrap();
        let trailers = body.trailers().unwrap();

        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers["te-was"], "trailers");
    }
}

#[tokio::test]
async fn the_plain_listener_redirects_to_https() {
    let bind = || async { TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let (main, redirect) = (bind().await, bind().await);
    let address = redirect.local_addr().unwrap();
    let authority = Authority::new();
    let config = Config {
        upstream: Some("http://127.0.0.1:1".into()),
        certificate: Secret::new(authority.certificate),
        key: Secret::new(authority.key),
        redirect_port: 8443,
        ..Config::default()
    };
    let listeners = Listeners {
        main,
        redirect: Some(redirect),
    };

    let (never, readiness) = (chassis::Shutdown::never(), chassis::Readiness::new());
    tokio::spawn(tls_proxy::serve(config, listeners, never, readiness));
    let mut plain = TcpStream::connect(address).await.unwrap();
    let request = b"POST /a?b HTTP/1.1\r\nhost: coins.example:80\r\nconnection: close\r\n\r\n";
    plain.write_all(request).await.unwrap();

    let mut answer = String::new();
    within(plain.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(
        answer.contains("location: https://coins.example:8443/a?b\r\n"),
        "{answer}"
    );
}
