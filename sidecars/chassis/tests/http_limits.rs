//! The limits of the server on what its clients may hold: requests, streams and connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::{
    HumanDuration,
    http::{Body, Limits, box_body, empty, full},
};
use http_body_util::{BodyExt, channel::Channel};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Raw, Request, Response, answer, ask, start_server, within};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::sleep,
};

/// Opens an HTTP/2 connection whose client takes `window` bytes of each response.
async fn connect_http2(
    address: SocketAddr,
    window: u32,
) -> (http2::SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    (sender, tokio::spawn(connection))
}

fn get(path: &str) -> ::http::Request<Body> {
    let request = ::http::Request::get(format!("http://test{path}"));
    request.body(empty()).unwrap()
}

/// Answers `/large` and `/parts` with more than any window of these tests, and all else at once.
async fn large_or_small(request: Request) -> Response {
    match request.uri().path() {
        "/large" => Response::new(full(vec![0; 1 << 20])),
        "/parts" => {
            let (mut sender, body) = Channel::<bytes::Bytes, chassis::BoxError>::new(1);
            tokio::spawn(async move {
                let part = bytes::Bytes::from_static(&[0; 16384]);
                while sender.send_data(part.clone()).await.is_ok() {}
            });
            Response::new(box_body(body))
        }
        _ => answer("small"),
    }
}

#[tokio::test]
async fn a_client_that_reads_no_response_loses_its_connection() {
    let limits = Limits {
        header_timeout: HumanDuration::from_millis(200),
        stall_timeout: HumanDuration::from_millis(200),
        ..Limits::default()
    };
    let server = start_server(large_or_small, limits).await;
    // A body of one part is in a buffer of h2 at once, one of many parts is not.
    for path in ["/large", "/parts"] {
        let (mut sender, connection) = connect_http2(server.address, 1).await;
        let mut unread = Vec::new();
        for _ in 0..20 {
            unread.push(within(sender.send_request(get(path))).await.unwrap());
        }

        // hyper answers PINGs meanwhile, and the idle timeout is longer than this test waits.
        let _ = within(connection).await.unwrap();
        drop(unread);
    }
}

#[tokio::test]
async fn a_stalled_stream_does_not_end_the_others() {
    let limits = Limits {
        header_timeout: HumanDuration::from_millis(200),
        stall_timeout: HumanDuration::from_secs(1),
        ..Limits::default()
    };
    let server = start_server(large_or_small, limits).await;
    let (mut sender, _connection) = connect_http2(server.address, 16).await;
    let mut stalled = within(sender.send_request(get("/parts"))).await.unwrap();

    let working = async {
        // For longer than the stall timeout.
        for _ in 0..20 {
            sleep(Duration::from_millis(100)).await;
            let response = sender.send_request(get("/small")).await.unwrap();
            assert_eq!(response.collect().await.unwrap().to_bytes(), "small");
        }
        sender
    };
    let mut sender = within(working).await;
    let reset = async { while stalled.frame().await.unwrap().is_ok() {} };
    within(reset).await;
    let response = within(sender.send_request(get("/small"))).await.unwrap();
    assert!(response.status().is_success());
}

#[tokio::test]
async fn a_client_that_gives_up_most_requests_loses_its_connection() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let service = move |_: Request| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<Response>()
    };
    let server = start_server(service, Limits::default()).await;
    let (mut sender, connection) = connect_http2(server.address, 1024).await;

    for sent in 1..1000 {
        let request = tokio::spawn(sender.send_request(get("/")));
        // Given up as soon as it is in the service.
        let arrived = async {
            while started.load(Ordering::SeqCst) < sent && !request.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        within(arrived).await;
        request.abort();
        if sender.is_closed() || started.load(Ordering::SeqCst) < sent {
            break;
        }
    }

    let _ = within(connection).await.unwrap();
    let started = started.load(Ordering::SeqCst);
    assert!((100..300).contains(&started), "{started}");
}

#[tokio::test]
async fn responses_without_a_body_are_not_taken_for_given_up_requests() {
    let server = start_server(large_or_small, Limits::default()).await;
    let mut client = Raw::connect(server.address).await;
    let (mut sender, _connection) = connect_http2(server.address, 1024).await;
    for _ in 0..150 {
        client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let response = client.read_until("\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");

        let mut head = get("/");
        *head.method_mut() = ::http::Method::HEAD;
        let response = within(sender.send_request(head)).await.unwrap();
        assert!(response.status().is_success());
    }
}

/// A service that answers `/held` only after `release`, and the number of requests it holds.
struct Holding {
    release: Arc<Semaphore>,
    held: Arc<AtomicUsize>,
}

impl Holding {
    fn new() -> Self {
        Self {
            release: Arc::new(Semaphore::new(0)),
            held: Arc::default(),
        }
    }

    fn service(
        &self,
    ) -> impl Fn(Request) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>>
    + Clone
    + Send
    + Sync
    + 'static {
        let (release, held) = (Arc::clone(&self.release), Arc::clone(&self.held));
        move |request: Request| {
            let (release, held) = (Arc::clone(&release), Arc::clone(&held));
            Box::pin(async move {
                if request.uri().path() == "/held" {
                    held.fetch_add(1, Ordering::SeqCst);
                    release.acquire().await.unwrap().forget();
                }
                answer("done")
            })
        }
    }

    async fn wait_until_held(&self, count: usize) {
        within(async {
            while self.held.load(Ordering::SeqCst) < count {
                sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_unread_response_holds_its_slot_until_it_is_sent() {
    let limits = Limits {
        max_requests: 1,
        ..Limits::default()
    };
    let server = start_server(large_or_small, limits).await;
    let (mut sender, connection) = connect_http2(server.address, 1).await;
    let unread = within(sender.send_request(get("/large"))).await.unwrap();
    assert!(
        ask(server.address, "GET / HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 503 ")
    );

    connection.abort();
    drop(unread);
    let answered = async {
        while !ask(server.address, "GET / HTTP/1.1")
            .await
            .ends_with("small")
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    within(answered).await;
}

const HELD: &str = "GET /held HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn requests_over_the_limit_get_503_after_a_moment() {
    let holding = Holding::new();
    let limits = Limits {
        max_requests: 2,
        ..Limits::default()
    };
    let server = start_server(holding.service(), limits).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Raw::connect(server.address).await;
        client.send(HELD).await;
        clients.push(client);
    }
    holding.wait_until_held(2).await;

    let refused = ask(server.address, "GET / HTTP/1.1").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");

    // One that waits gets the slot of the next that ends.
    let waiting = tokio::spawn(async move { ask(server.address, "GET / HTTP/1.1").await });
    holding.release.add_permits(2);
    assert!(within(waiting).await.unwrap().ends_with("done"));
    for mut client in clients {
        client.read_until("done").await;
    }
}

#[tokio::test]
async fn one_client_cannot_take_the_slots_of_others() {
    let holding = Holding::new();
    let limits = Limits {
        max_requests_per_client: 1,
        ..Limits::default()
    };
    let server = start_server(holding.service(), limits).await;
    let mut client = Raw::connect(server.address).await;
    client.send(HELD).await;
    holding.wait_until_held(1).await;

    // Over HTTP/2 and on another connection too.
    let (mut sender, _connection) = connect_http2(server.address, 1024).await;
    let refused = within(sender.send_request(get("/"))).await.unwrap();
    assert_eq!(refused.status(), ::http::StatusCode::SERVICE_UNAVAILABLE);

    let other = TcpSocket::new_v4().unwrap();
    other.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut other = Raw(within(other.connect(server.address)).await.unwrap());
    other.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    other.read_until("done").await;
    holding.release.add_permits(1);
    client.read_until("done").await;
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_an_idle_one() {
    let holding = Holding::new();
    let limits = Limits {
        max_connections: 3,
        ..Limits::default()
    };
    let server = start_server(holding.service(), limits).await;
    let mut busy = Raw::connect(server.address).await;
    busy.send(HELD).await;
    holding.wait_until_held(1).await;
    let mut used = Raw::connect(server.address).await;
    used.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    used.read_until("done").await;
    // Connected, but without a request; its first-byte timeout is 10 s.
    let mut silent = Raw::connect(server.address).await;

    for _ in 0..2 {
        let mut new = Raw::connect(server.address).await;
        new.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        new.read_until("done").await;
        tokio::spawn(async move { new.read_to_end().await });
    }
    assert_eq!(used.read_to_end().await, "");
    assert_eq!(silent.read_to_end().await, "");
    holding.release.add_permits(1);
    busy.read_until("done").await;
}

#[tokio::test]
async fn limits_the_connections_of_one_client() {
    let limits = Limits {
        max_connections_per_client: 1,
        ..Limits::default()
    };
    let server = start_server(large_or_small, limits).await;
    let mut first = Raw::connect(server.address).await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    first.read_until("small").await;
    assert_eq!(ask(server.address, "GET / HTTP/1.1").await, "");
    drop(first);
    let accepted = async {
        while ask(server.address, "GET / HTTP/1.1").await.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    within(accepted).await;
}

#[tokio::test]
async fn a_websocket_request_with_a_body_gets_400() {
    let server = start_server(large_or_small, Limits::default()).await;
    for framing in [
        "content-length: 4\r\n\r\nbody",
        "transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut client = Raw::connect(server.address).await;
        let head = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
        client.send(&format!("{head}{framing}")).await;
        let response = client.read_to_end().await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    }
}
