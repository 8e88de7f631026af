//! Authorized requests are forwarded unchanged: bodies, streams, gRPC and WebSockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use chassis::BoxError;
use chassis::http::UpstreamProtocol;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::LIMIT;
use support::harness::{Harness, claims, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A bidirectional gRPC stream: every message is echoed before the next is sent.
#[tokio::test]
async fn grpc_streams_both_ways_and_keeps_trailers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hop = listener.local_addr().unwrap();
    let echoing = |request: http::Request<Incoming>| async move {
        let subject = request.headers()["x-auth-subject"].clone();
        assert!(!request.headers().contains_key("authorization"));
        let (mut answer, receiver) = Channel::<Bytes, BoxError>::new(1);
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                answer.send(frame.unwrap()).await.unwrap();
            }

            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("subject", subject);
            answer.send_trailers(trailers).await.unwrap();
        });
        Ok::<_, Infallible>(http::Response::new(receiver))
    };

    let app = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service_fn(echoing)),
            );
        }
    });

    let harness = Harness::with(|config| {
        config.upstream = format!("http://{hop}");
        config.upstream_protocol = UpstreamProtocol::Http2;
    })
    .await;
    let stream = TcpStream::connect(harness.filter.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = handshake.await.unwrap();
    let driving = tokio::spawn(connection);

    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    let request = http::Request::post("http://app.test/coins.Coins/Value")
        .header("content-type", "application/grpc")
        // gRPC requires `te: trailers`, the only value of `te` allowed in HTTP/2.
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", harness.token("")))
        .body(body)
        .unwrap();

    let mut answer = timeout(LIMIT, client.send_request(request))
        .await
        .unwrap()
        .unwrap()
        .into_body();
    for message in ["one", "two", "three"] {
        sender.send_data(message.into()).await.unwrap();
        let frame = timeout(LIMIT, answer.frame()).await.unwrap().unwrap();
        assert_eq!(frame.unwrap().into_data().unwrap(), message);
    }

    drop(sender);
    let rest = timeout(LIMIT, answer.collect()).await.unwrap().unwrap();
    let trailers = rest.trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["subject"], "ada");
    driving.abort();
    app.abort();
}

/// An app that accepts a WebSocket and echoes every byte.
async fn echo() -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }

                let head = String::from_utf8(head).unwrap().to_lowercase();
                assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
                assert!(head.contains("\r\nx-auth-subject: ada\r\n"), "{head}");

                let yes = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                           upgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n";
                stream.write_all(yes.as_bytes()).await.unwrap();
                let (mut reading, mut writing) = stream.split();
                let _ = tokio::io::copy(&mut reading, &mut writing).await;
            });
        }
    });

    (address, task)
}

#[tokio::test]
async fn opens_websockets_only_after_authorization() {
    let (app, task) = echo().await;
    let harness = Harness::with(|config| config.upstream = format!("http://{app}")).await;
    let upgrade = |token: &str| {
        format!(
            "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        )
    };

    // An empty token is malformed (400), the other is invalid (401).
    for token in ["", "a.b.c"] {
        let status = harness.send_raw(upgrade(token)).await.status();
        assert!(matches!(status, 400 | 401), "{status}");
    }

    let mut client = TcpStream::connect(harness.filter.address).await.unwrap();
    let request = upgrade(&harness.token(""));
    client.write_all(request.as_bytes()).await.unwrap();

    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(LIMIT, client.read_u8()).await.unwrap().unwrap());
    }

    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");

    // One message looks like a request, the other is 1 MiB.
    let big = vec![7_u8; 1 << 20];
    for message in [&b"GET /admin HTTP/1.1\r\n\r\n"[..], &big] {
        let (mut reading, mut writing) = client.split();
        let mut back = vec![0; message.len()];
        let both =
            async { tokio::join!(writing.write_all(message), reading.read_exact(&mut back)) };
        let (sent, read) = timeout(LIMIT, both).await.unwrap();

        assert!(sent.is_ok() && read.is_ok());
        assert!(back == message);
    }

    task.abort();
}

#[tokio::test]
async fn token_expiry_does_not_interrupt_a_long_body() {
    let harness =
        Harness::with(|config| config.leeway = chassis::HumanDuration::from_secs(0)).await;
    let mut ending = claims();
    ending["exp"] = serde_json::json!(now() + 2);

    let token = harness.signer.token(&ending);
    let mut client = TcpStream::connect(harness.filter.address).await.unwrap();
    let head = format!(
        "POST /v1/coins HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 40\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );

    client.write_all(head.as_bytes()).await.unwrap();
    // 40 bytes over 3 s: the token expires after 2 s, in the middle of the body.
    for _ in 0..40 {
        client.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(75)).await;
    }

    let mut answer = String::new();
    timeout(LIMIT, client.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let received = harness.upstream.take();

    assert_eq!(received[0].body, [b'x'; 40]);
    assert_eq!(
        harness.get("/", &token).await.status(),
        401,
        "it has expired"
    );
}
