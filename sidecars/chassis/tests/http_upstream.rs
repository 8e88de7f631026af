//! The next hop, seen from both of its sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

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

async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn puts_the_path_behind_the_base_address() {
    let echo = |request: Request| async move { answer(&request.uri().to_string()) };
    let server = start_server(echo, Limits::default()).await;
    let base = format!("http://{}/base/", server.address);
    let upstream = Upstream::new(&base, UpstreamLimits::default()).unwrap();
    let response = within(upstream.send(get("/a/b?c=d"))).await.unwrap();
    assert_eq!(text(response.into_body()).await, "/base/a/b?c=d");
}

#[tokio::test]
async fn says_503_with_retry_after_when_nobody_is_there() {
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
async fn says_504_when_the_answer_does_not_come() {
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
async fn says_502_when_the_upstream_breaks_off() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut raw = Raw(stream);
            raw.read_until("\r\n\r\n").await;
            raw.send("this is no HTTP\r\n\r\n").await;
        }
    });

    let error = within(upstream(address).send(get("/"))).await.unwrap_err();
    assert_eq!(error.response().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn the_version_of_an_old_upstream_stays_behind() {
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
async fn the_body_of_an_answer_may_not_stall() {
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

/// A proxy in front of `target`, as the components are.
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
async fn headers_of_one_hop_stay_on_it_both_ways() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let target = {
        let seen = Arc::clone(&seen);
        move |request: Request| {
            let seen = Arc::clone(&seen);
            async move {
                *seen.lock().await = request.headers().keys().cloned().collect();
                let mut response = answer("hello");
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

    assert!(seen.contains(&"x-end".into()), "{seen:?}");
    assert!(
        !seen
            .iter()
            .any(|name| ["te", "x-named", "connection"].contains(&name.as_str()))
    );
    assert!(response.contains("x-end: 1"), "{response}");
    assert!(!response.contains("x-hop: 1"), "{response}");
    assert!(!response.contains("proxy-authenticate"), "{response}");
}

#[tokio::test]
async fn no_framing_smuggles_a_second_request() {
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
        let refusal = client.read_to_end().await;
        assert!(refusal.starts_with("HTTP/1.1 400"), "{framing}: {refusal}");
    }

    assert!(seen.lock().await.is_empty(), "{:?}", seen.lock().await);
    // Both framings at once: one reading everywhere, so what is inside the length stays inside.
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
async fn a_trace_that_came_in_goes_on_even_without_telemetry() {
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
async fn bodies_stream_through_both_ways() {
    let echo = |request: Request| async move { Response::new(box_body(request.into_body())) };
    let target = start_server(echo, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let mut client = Raw::connect(proxy.address).await;

    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;

    for part in ["one", "two"] {
        client.send(&format!("3\r\n{part}\r\n")).await;
        // The echo of a part comes back while the request is still open.
        client.read_until(&format!("3\r\n{part}\r\n")).await;
    }

    client.send("0\r\n\r\n").await;
    client.read_until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
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
async fn the_answer_to_head_keeps_its_length() {
    let target = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    let proxy = proxy(target.address).await;
    let head = ask(proxy.address, "HEAD / HTTP/1.1").await;
    assert!(
        head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn keeps_connections_for_the_next_request() {
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
        within(response.into_body().collect()).await.unwrap();
    }

    let peers = peers.lock().await;
    assert_eq!(peers[0], peers[1]);
}

/// A next hop that agrees to become a WebSocket and then echoes, or says what it was asked.
async fn websocket() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut raw = Raw(listener.accept().await.unwrap().0);
            let head = raw.read_until("\r\n\r\n").await.to_lowercase();
            if head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n") {
                raw.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: yes\r\n\r\n").await;
                let (mut from, mut to) = raw.0.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            } else {
                let upgrade = if head.contains("upgrade") {
                    "upgrade"
                } else {
                    "nothing"
                };

                let length = upgrade.len();
                raw.send(&format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{upgrade}"
                ))
                .await;
            }
        }
    });

    address
}

const WEBSOCKET: &str =
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn websockets_go_through() {
    let proxy = proxy(websocket().await).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send(WEBSOCKET).await;

    let head = client.read_until("\r\n\r\n").await.to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("upgrade: websocket"), "{head}");
    assert!(head.contains("sec-websocket-accept: yes"), "{head}");

    for frame in ["one", "two"] {
        client.send(frame).await;
        client.read_until(frame).await;
    }
}

#[tokio::test]
async fn a_websocket_that_stalls_is_ended_and_the_drain_cuts_one_that_does_not() {
    let target = websocket().await;
    let limits = Limits {
        stall_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let stalling = proxy_with(target, limits).await;
    let mut client = Raw::connect(stalling.address).await;

    client.send(WEBSOCKET).await;
    client.read_until("\r\n\r\n").await;
    assert_eq!(client.read_to_end().await, "");

    let limits = Limits {
        drain_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let draining = proxy_with(target, limits).await;
    let mut client = Raw::connect(draining.address).await;

    client.send(WEBSOCKET).await;
    client.read_until("\r\n\r\n").await;
    draining.trigger.fire();
    within(draining.task).await.unwrap();
    assert_eq!(client.read_to_end().await, "");
}

#[tokio::test]
async fn no_other_upgrade_goes_through() {
    let proxy = proxy(websocket().await).await;
    let head = "GET / HTTP/1.1\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__";
    let mut client = Raw::connect(proxy.address).await;
    client
        .send(&format!(
            "{head}\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\r\n"
        ))
        .await;

    assert!(
        client
            .read_until("nothing")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
fn refuses_addresses_that_are_no_upstream() {
    for text in [
        "",
        "127.0.0.1:80",
        "https://a",
        "http://a/?b",
        "http://user@a",
        "ftp://a",
    ] {
        let message = Upstream::new(text, UpstreamLimits::default())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("http://127.0.0.1:8080"),
            "{text}: {message}"
        );
    }
}
