//! The accept loop and its connections, from the client's side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::{sync::Arc, time::Duration};

use chassis::{
    HumanDuration,
    http::{Limits, Peer, Protocol, empty},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Raw, Request, answer, ask, start_server, within};
use tokio::{
    net::TcpStream,
    sync::{Notify, Semaphore},
};

#[tokio::test]
async fn serves_several_requests_on_one_connection() {
    let server = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    let mut client = Raw::connect(server.address).await;
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(client.read_until("hello").await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn serves_http2_with_prior_knowledge_on_the_same_port() {
    let protocol = |request: Request| async move {
        let peer = *request.extensions().get::<Peer>().unwrap();
        answer(if peer.protocol == Protocol::Http2 {
            "two"
        } else {
            "one"
        })
    };

    let server = start_server(protocol, Limits::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();

    tokio::spawn(connection);
    let request = ::http::Request::get("http://a/").body(empty()).unwrap();
    let response = within(sender.send_request(request)).await.unwrap();
    assert_eq!(
        support::text(chassis::http::box_body(response.into_body())).await,
        "two"
    );
    assert!(ask(server.address, "GET / HTTP/1.1").await.ends_with("one"));
}

#[tokio::test]
async fn goes_on_after_a_clients_error() {
    let server = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    let mut garbage = Raw::connect(server.address).await;
    garbage.send("\u{1}\u{2}\u{3} nonsense\r\n\r\n").await;
    garbage.read_to_end().await;
    drop(Raw::connect(server.address).await);
    assert!(
        ask(server.address, "GET / HTTP/1.1")
            .await
            .ends_with("hello")
    );
}

#[tokio::test]
async fn goes_on_after_a_panic_of_the_service() {
    let service = |request: Request| async move {
        assert_ne!(request.uri().path(), "/panic", "as the test wants");
        answer("hello")
    };
    let server = start_server(service, Limits::default()).await;

    assert_eq!(ask(server.address, "GET /panic HTTP/1.1").await, "");
    assert!(
        ask(server.address, "GET / HTTP/1.1")
            .await
            .ends_with("hello")
    );
}

#[tokio::test]
async fn closes_a_connection_whose_head_never_ends() {
    let limits = Limits {
        header_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert_eq!(client.read_to_end().await, "");
}

#[tokio::test]
async fn closes_a_connection_that_stays_silent() {
    let limits = Limits {
        first_byte_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    assert_eq!(Raw::connect(server.address).await.read_to_end().await, "");
}

#[tokio::test]
async fn closes_an_idle_connection_after_its_time_and_not_after_the_heads() {
    let limits = Limits {
        header_timeout: HumanDuration::from_millis(20),
        idle_timeout: HumanDuration::from_millis(300),
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    let mut client = Raw::connect(server.address).await;

    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_until("hello").await;
    let idle = std::time::Instant::now();
    assert_eq!(client.read_to_end().await, "");

    assert!(
        idle.elapsed() >= Duration::from_millis(290),
        "{:?}",
        idle.elapsed()
    );
}

#[tokio::test]
async fn a_request_in_flight_may_outlive_the_idle_limit() {
    let release = Arc::new(Notify::new());
    let held = Arc::clone(&release);
    let service = move |_: Request| {
        let held = Arc::clone(&held);
        async move {
            held.notified().await;
            answer("late")
        }
    };

    let short = HumanDuration::from_millis(20);
    let limits = Limits {
        first_byte_timeout: short,
        header_timeout: short,
        idle_timeout: short,
        ..Limits::default()
    };

    let server = start_server(service, limits).await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    release.notify_one();
    client.read_until("late").await;
}

#[tokio::test]
async fn refuses_a_head_that_is_too_large() {
    let limits = Limits {
        max_header_bytes: 8192,
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    let head = format!("GET / HTTP/1.1\r\nx-large: {}", "x".repeat(20_000));
    let refusal = ask(server.address, &head).await;

    assert!(
        refusal.is_empty() || refusal.starts_with("HTTP/1.1 431"),
        "{refusal}"
    );

    assert!(
        ask(server.address, "GET / HTTP/1.1")
            .await
            .ends_with("hello")
    );
}

#[tokio::test]
async fn a_connection_over_the_limit_waits_for_a_slot() {
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    let mut first = Raw::connect(server.address).await;

    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    first.read_until("hello").await;
    let mut second = Raw::connect(server.address).await;
    second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;

    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.0.peek(&mut byte)).await;
    assert!(early.is_err(), "answered without a slot");
    drop(first);
    second.read_until("hello").await;
}

#[tokio::test]
async fn the_drain_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let service = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        move |_: Request| {
            let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
            async move {
                arrived.add_permits(1);
                release.notified().await;
                answer("finished")
            }
        }
    };

    let server = start_server(service, Limits::default()).await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    within(arrived.acquire()).await.unwrap().forget();
    server.trigger.fire();
    within(async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    release.notify_one();
    let finished = client.read_to_end().await;
    assert!(finished.ends_with("finished"), "{finished}");
    assert!(
        finished.to_lowercase().contains("connection: close"),
        "{finished}"
    );
    within(server.task).await.unwrap();
}

#[tokio::test]
async fn the_drain_ends_idle_connections_at_once() {
    let server = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_until("hello").await;
    let silent = Raw::connect(server.address).await;
    server.trigger.fire();
    assert_eq!(client.read_to_end().await, "");
    within(server.task).await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn the_drain_has_a_limit() {
    let arrived = Arc::new(Semaphore::new(0));
    let service = {
        let arrived = Arc::clone(&arrived);
        move |_: Request| {
            arrived.add_permits(1);
            std::future::pending()
        }
    };

    let limits = Limits {
        drain_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let server = start_server(service, limits).await;
    let mut client = Raw::connect(server.address).await;

    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    within(arrived.acquire()).await.unwrap().forget();
    server.trigger.fire();
    within(server.task).await.unwrap();
    assert_eq!(client.read_to_end().await, "");
}
