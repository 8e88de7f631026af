//! The upstream client, and proxies made of it, with a server on both sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod messages;
mod reuse;
#[path = "../support/mod.rs"]
mod support;
mod websocket;

use std::{net::SocketAddr, sync::Arc};

use ::http::{HeaderName, StatusCode, header};
use chassis::{
    HumanDuration,
    http::{
        Body, Limits, Upstream, UpstreamLimits, box_body, empty, full, read_limited, trace_request,
    },
};
use http_body_util::{BodyExt, channel::Channel};
use support::{LIMIT, Raw, Request, Response, answer, ask, start_server, text, within};
use tokio::{net::TcpListener, sync::Mutex};

fn upstream(address: SocketAddr) -> Upstream {
    Upstream::new(&format!("http://{address}"), UpstreamLimits::default()).unwrap()
}

fn get(path: &str) -> ::http::Request<Body> {
    ::http::Request::get(path).body(empty()).unwrap()
}

/// Returns an address where nothing listens: bound to find a free port, then closed.
async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn appends_the_path_to_the_base_address() {
    let echo = |request: Request| async move { answer(&request.uri().to_string()) };
    let server = start_server(echo, Limits::default()).await;
    // The trailing slash of the base must not be doubled.
    let base = format!("http://{}/base/", server.address);
    let upstream = Upstream::new(&base, UpstreamLimits::default()).unwrap();
    let response = within(upstream.send(get("/a/b?c=d"))).await.unwrap();
    assert_eq!(text(response.into_body()).await, "/base/a/b?c=d");
}

#[tokio::test]
async fn answers_503_with_retry_after_when_nothing_listens() {
    let upstream = upstream(closed_port().await);
    assert!(!upstream.is_reachable().await);
    let response = within(upstream.send(get("/")))
        .await
        .unwrap_err()
        .response();

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert!(
        text(response.into_body())
            .await
            .contains("upstream_unavailable")
    );
}

#[tokio::test]
async fn answers_504_when_the_response_exceeds_its_timeout() {
    let server = start_server(|_: Request| std::future::pending(), Limits::default()).await;
    let limits = UpstreamLimits {
        response_timeout: HumanDuration::from_millis(50),
        ..UpstreamLimits::default()
    };
    let upstream = Upstream::new(&format!("http://{}", server.address), limits).unwrap();
    assert!(upstream.is_reachable().await);
    let error = within(upstream.send(get("/"))).await.unwrap_err();
    assert_eq!(error.response().status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn answers_502_when_the_upstream_does_not_speak_http() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Holds the sender, so that the body neither continues nor ends.
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut raw = Raw(stream);
            raw.read_until("\r\n\r\n").await;
            raw.send("this is not HTTP\r\n\r\n").await;
        }
    });

    let error = within(upstream(address).send(get("/"))).await.unwrap_err();
    assert_eq!(error.response().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn an_http10_response_is_not_forwarded_as_http10() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut raw = Raw(stream);
        raw.read_until("\r\n\r\n").await;
        raw.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    });

    let response = within(upstream(address).send(get("/"))).await.unwrap();
    assert_eq!(response.version(), ::http::Version::HTTP_11);
    assert_eq!(text(response.into_body()).await, "ok");
}

#[tokio::test]
async fn a_stalled_response_body_is_an_error() {
    let stalling = |_: Request| async {
        let (mut sender, body) = Channel::<bytes::Bytes, chassis::BoxError>::new(1);
        sender.send_data("first".into()).await.unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(LIMIT * 10).await;
            drop(sender);
        });
        Response::new(box_body(body))
    };

    let server = start_server(stalling, Limits::default()).await;
    let limits = UpstreamLimits {
        stall_timeout: HumanDuration::from_millis(50),
        ..UpstreamLimits::default()
    };
    let upstream = Upstream::new(&format!("http://{}", server.address), limits).unwrap();
    let response = within(upstream.send(get("/"))).await.unwrap();
    let error = within(read_limited(response.into_body(), 1024))
        .await
        .unwrap_err();
    assert!(matches!(error, chassis::http::ReadError::Io(_)), "{error}");
}

/// Starts a proxy in front of `target`, built the way the components are.
async fn proxy(target: SocketAddr) -> support::Server {
    proxy_with(target, Limits::default()).await
}

async fn proxy_with(target: SocketAddr, limits: Limits) -> support::Server {
    let upstream = upstream(target);
    let forward = move |request: Request| {
        let upstream = upstream.clone();
        trace_request("proxy", request, move |request| async move {
            upstream
                .send(request.map(box_body))
                .await
                .unwrap_or_else(|error| error.response())
        })
    };
    start_server(forward, limits).await
}

#[tokio::test]
async fn hop_by_hop_headers_are_removed_in_both_directions() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let target = {
        let seen = Arc::clone(&seen);
        move |request: Request| {
            let seen = Arc::clone(&seen);
            async move {
                *seen.lock().await = request.headers().keys().cloned().collect();
                let mut response = answer("hello");
                // All but `x-end` are hop-by-hop; `x-hop` because `Connection` names it.
                for name in ["keep-alive", "proxy-authenticate", "x-hop", "x-end"] {
                    let name: HeaderName = name.parse().unwrap();
                    response.headers_mut().insert(name, "1".parse().unwrap());
                }

                response
                    .headers_mut()
                    .insert(header::CONNECTION, "x-hop".parse().unwrap());
                response
            }
        }
    };

    let target = start_server(target, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let head = "GET / HTTP/1.1\r\nte: trailers\r\nx-named: 1\r\nx-end: 1\r\nconnection: x-named";
    let response = ask(proxy.address, head).await;
    let seen: Vec<String> = seen.lock().await.iter().map(ToString::to_string).collect();

    // Towards the upstream.
    assert!(seen.contains(&"x-end".into()), "{seen:?}");
    assert!(
        !seen
            .iter()
            .any(|name| ["te", "x-named", "connection"].contains(&name.as_str()))
    );
    // Towards the client.
    assert!(response.contains("x-end: 1"), "{response}");
    assert!(!response.contains("x-hop: 1"), "{response}");
    assert!(!response.contains("proxy-authenticate"), "{response}");
}

#[tokio::test]
async fn ambiguous_framing_does_not_smuggle_a_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let target = {
        let seen = Arc::clone(&seen);
        move |request: Request| {
            let seen = Arc::clone(&seen);
            async move {
                seen.lock().await.push(request.uri().path().to_owned());
                let _ = read_limited(request.into_body(), 1024).await;
                answer("hello")
            }
        }
    };

    let target = start_server(target, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    // RFC 9112 section 6.3: two lengths, a coding that is not the final `chunked`, white space before the
    // colon, an unknown coding, and a length that is not only digits.
    let ambiguous = [
        format!("content-length: {}\r\ncontent-length: 0", hidden.len()),
        "transfer-encoding: chunked\r\ntransfer-encoding: identity".to_owned(),
        "transfer-encoding : chunked".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
        format!("content-length: +{}", hidden.len()),
    ];

    for framing in ambiguous {
        let mut client = Raw::connect(proxy.address).await;
        client
            .send(&format!(
                "POST /seen HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n{hidden}"
            ))
            .await;
        let rejection = client.read_to_end().await;
        assert!(
            rejection.starts_with("HTTP/1.1 400"),
            "{framing}: {rejection}"
        );
    }

    assert!(seen.lock().await.is_empty(), "{:?}", seen.lock().await);
    // Both framings: `Transfer-Encoding` wins at every hop (RFC 9112 section 6.3), so the hidden request
    // stays part of the body.
    let mut client = Raw::connect(proxy.address).await;
    let both = "transfer-encoding: chunked\r\ncontent-length: 4\r\nconnection: close";

    client
        .send(&format!(
            "POST /seen HTTP/1.1\r\nhost: a\r\n{both}\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
            hidden.len()
        ))
        .await;

    client.read_to_end().await;
    assert!(!seen.lock().await.contains(&"/hidden".to_owned()));
}

#[tokio::test]
async fn forwards_an_incoming_trace_without_telemetry() {
    let target = |request: Request| async move {
        let trace = request
            .headers()
            .get("traceparent")
            .map(|value| value.to_str().unwrap());
        answer(trace.unwrap_or("none"))
    };

    let target = start_server(target, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let response = ask(
        proxy.address,
        &format!("GET / HTTP/1.1\r\ntraceparent: {trace}"),
    )
    .await;

    assert!(response.ends_with(trace), "{response}");
    assert!(ask(proxy.address, "GET / HTTP/1.1").await.ends_with("none"));
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let echo = |request: Request| async move { Response::new(box_body(request.into_body())) };
    let target = start_server(echo, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let mut client = Raw::connect(proxy.address).await;

    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;

    for part in ["one", "two"] {
        client.send(&format!("3\r\n{part}\r\n")).await;
        // The echo of a part arrives while the request is still being sent.
        client.read_until(&format!("3\r\n{part}\r\n")).await;
    }

    client.send("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
}

#[tokio::test]
async fn answers_a_client_that_waits_for_100_continue() {
    let echo = |request: Request| async move { Response::new(box_body(request.into_body())) };
    let target = start_server(echo, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let mut client = Raw::connect(proxy.address).await;

    client
        .send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        .await;
    assert!(
        client
            .read_until("\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 100")
    );

    client.send("body").await;
    assert!(client.read_until("body").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_response_to_head_keeps_its_content_length() {
    let target = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let head = ask(proxy.address, "HEAD / HTTP/1.1").await;
    assert!(
        head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn reuses_a_connection_for_the_next_request() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let target = {
        let peers = Arc::clone(&peers);
        move |request: Request| {
            let peers = Arc::clone(&peers);
            async move {
                let peer = request
                    .extensions()
                    .get::<chassis::http::Peer>()
                    .unwrap()
                    .address;

                peers.lock().await.push(peer);
                answer("hello")
            }
        }
    };

    let target = start_server(target, Limits::default()).await;
    let upstream = upstream(target.address);
    for _ in 0..2 {
        let request = ::http::Request::post("/").body(full("body")).unwrap();
        let response = within(upstream.send(request)).await.unwrap();
        // The connection returns to the pool at the end of the body.
        within(response.into_body().collect()).await.unwrap();
    }

    let peers = peers.lock().await;
    // The same client port is the same connection.
    assert_eq!(peers[0], peers[1]);
}

#[test]
fn rejects_unsupported_base_addresses() {
    for text in [
        "",
        "127.0.0.1:80",
        "https://a",
        "http://a/?b",
        "http://user@a",
        "ftp://a",
    ] {
        // Every message must show the expected form.
        let message = Upstream::new(text, UpstreamLimits::default())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("http://127.0.0.1:8080"),
            "{text}: {message}"
        );
    }
}
