//! The HTTP server, from the client's side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
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

    // The connection must be polled for its requests to make progress.
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
async fn keeps_serving_after_a_malformed_request() {
    let server = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    // Not HTTP at all, and then a client that connects and leaves.
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
async fn keeps_serving_after_the_service_panics() {
    let service = |request: Request| async move {
        assert_ne!(request.uri().path(), "/panic", "the panic under test");
        answer("hello")
    };
    let server = start_server(service, Limits::default()).await;

    // The connection closes without a response: the panic ended its task.
    assert_eq!(ask(server.address, "GET /panic HTTP/1.1").await, "");
    assert!(
        ask(server.address, "GET / HTTP/1.1")
            .await
            .ends_with("hello")
    );
}

#[tokio::test]
async fn closes_a_connection_that_exceeds_the_header_timeout() {
    let limits = Limits {
        header_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    let mut client = Raw::connect(server.address).await;
    // The header section never ends.
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert_eq!(client.read_to_end().await, "");
}

#[tokio::test]
async fn closes_a_connection_that_exceeds_the_first_byte_timeout() {
    let limits = Limits {
        first_byte_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    assert_eq!(Raw::connect(server.address).await.read_to_end().await, "");
}

#[tokio::test]
async fn closes_an_idle_connection_after_the_idle_timeout_not_the_header_timeout() {
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

    // The timer may fire a little early relative to this clock.
    assert!(
        idle.elapsed() >= Duration::from_millis(290),
        "{:?}",
        idle.elapsed()
    );
}

#[tokio::test]
async fn a_request_in_flight_may_outlast_the_idle_timeout() {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let service = move |_: Request| {
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
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
    // Five times each timeout: long enough for a wrong one to close the connection.
    tokio::time::sleep(Duration::from_millis(100)).await;
    release.notify_one();
    client.read_until("late").await;
}

#[tokio::test]
async fn rejects_a_header_section_that_is_too_large() {
    let limits = Limits {
        max_header_bytes: 8192,
        ..Limits::default()
    };
    let server = start_server(|_: Request| async { answer("hello") }, limits).await;
    let head = format!("GET / HTTP/1.1\r\nx-large: {}", "x".repeat(20_000));
    let rejection = ask(server.address, &head).await;

    // hyper answers 431, unless the reset for the unread bytes overtakes the response.
    assert!(
        rejection.is_empty() || rejection.starts_with("HTTP/1.1 431"),
        "{rejection}"
    );

    assert!(
        ask(server.address, "GET / HTTP/1.1")
            .await
            .ends_with("hello")
    );
}

#[tokio::test]
async fn a_connection_over_the_maximum_waits_for_a_slot() {
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

    // The second client is connected, by the kernel's queue, but not accepted.
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.0.peek(&mut byte)).await;
    assert!(early.is_err(), "answered above the maximum");
    // Frees the only slot.
    drop(first);
    second.read_until("hello").await;
}

#[tokio::test]
async fn the_drain_finishes_requests_in_flight_and_accepts_no_connections() {
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
        // The listener is closed as soon as the accept loop sees the shutdown.
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
async fn the_drain_closes_idle_connections() {
    let server = start_server(|_: Request| async { answer("hello") }, Limits::default()).await;
    let mut client = Raw::connect(server.address).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_until("hello").await;
    // Has never sent a byte, so it is not even open for HTTP yet.
    let silent = Raw::connect(server.address).await;
    server.trigger.fire();
    assert_eq!(client.read_to_end().await, "");
    within(server.task).await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn the_drain_aborts_connections_after_the_drain_timeout() {
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
