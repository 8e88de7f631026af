//! Connections to the upstream: kept, closed by it, limited, and shared by HTTP/2 streams.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use chassis::http::UpstreamProtocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Barrier;

use super::*;

/// Starts an app that answers one request per connection with these header lines, then closes the
/// connection when the next request arrives, or keeps answering; returns the number of connections.
async fn app(headers: &'static str, keeps: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let mut raw = Raw(listener.accept().await.unwrap().0);
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                loop {
                    raw.read_until("\r\n\r\n").await;
                    raw.send(&format!(
                        "HTTP/1.1 200 OK\r\n{headers}content-length: 2\r\n\r\nok"
                    ))
                    .await;
                    if !keeps {
                        raw.read_until("\r\n\r\n").await;
                        return;
                    }
                }
            });
        }
    });

    (address, connections)
}

async fn status(upstream: &Upstream, request: ::http::Request<Body>) -> u16 {
    match within(upstream.send(request)).await {
        Ok(response) => {
            let status = response.status();
            text(response.into_body()).await;
            status.as_u16()
        }
        Err(error) => error.response().status().as_u16(),
    }
}

#[tokio::test]
async fn sends_an_idempotent_request_again_when_a_kept_connection_closes() {
    let (address, connections) = app("", false).await;
    let upstream = upstream(address);
    for _ in 0..5 {
        assert_eq!(status(&upstream, get("/")).await, 200);
    }
    // The first of each pair opened a connection, and the second another one after the first closed.
    assert_eq!(connections.load(Ordering::SeqCst), 5);

    // The upstream may have acted on it, so it must not be sent twice.
    let post = ::http::Request::post("/").body(full("x")).unwrap();
    assert_eq!(status(&upstream, post).await, 502);
}

#[tokio::test]
async fn keeps_a_connection_no_longer_than_the_upstream_does() {
    for (headers, expected) in [("", 1), ("keep-alive: timeout=1\r\n", 2)] {
        let (address, connections) = app(headers, true).await;
        let upstream = upstream(address);
        for _ in 0..2 {
            assert_eq!(status(&upstream, get("/")).await, 200);
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{headers}");
    }
}

#[tokio::test]
async fn limits_the_connections_to_the_upstream() {
    for protocol in [UpstreamProtocol::Http1, UpstreamProtocol::Http2] {
        let arrived = Arc::new(tokio::sync::Semaphore::new(0));
        let arriving = Arc::clone(&arrived);
        let service = move |_: Request| {
            arriving.add_permits(1);
            std::future::pending()
        };
        let server = start_server(service, Limits::default()).await;
        let limits = UpstreamLimits {
            max_connections: 1,
            connect_timeout: HumanDuration::from_millis(100),
            ..UpstreamLimits::default()
        };
        let base = format!("http://{}", server.address);
        let upstream = Upstream::with_protocol(protocol, &base, limits).unwrap();
        let send = || {
            let upstream = upstream.clone();
            tokio::spawn(async move { status(&upstream, get("/")).await })
        };
        let first = send();
        within(arrived.acquire()).await.unwrap().forget();

        let second = send();
        match protocol {
            UpstreamProtocol::Http1 => assert_eq!(within(second).await.unwrap(), 503),
            // Both are streams of one connection.
            UpstreamProtocol::Http2 => within(arrived.acquire()).await.unwrap().forget(),
        }
        assert!(!first.is_finished());
        first.abort();
    }
}

#[tokio::test]
async fn an_upload_may_take_longer_than_the_response_timeout() {
    let echo = |request: Request| async move {
        let body = read_limited(request.into_body(), 1024).await.unwrap();
        answer(&body.len().to_string())
    };
    let server = start_server(echo, Limits::default()).await;
    let limits = UpstreamLimits {
        response_timeout: HumanDuration::from_secs(2),
        ..UpstreamLimits::default()
    };
    for protocol in [UpstreamProtocol::Http1, UpstreamProtocol::Http2] {
        let base = format!("http://{}", server.address);
        let upstream = Upstream::with_protocol(protocol, &base, limits.clone()).unwrap();
        let (mut sender, body) = Channel::<bytes::Bytes, chassis::BoxError>::new(1);
        let uploading = tokio::spawn(async move {
            for _ in 0..10 {
                sender.send_data("part".into()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
        let request = ::http::Request::post("/").body(box_body(body)).unwrap();
        let response = within(upstream.send(request)).await.unwrap();
        assert_eq!(text(response.into_body()).await, "40");
        within(uploading).await.unwrap();
    }
}

#[tokio::test]
async fn opens_another_http2_connection_when_the_upstream_allows_no_more_streams() {
    const REQUESTS: usize = 7;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Answers only when all requests have arrived.
    let barrier = Arc::new(Barrier::new(REQUESTS));
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap().0;
            let barrier = Arc::clone(&barrier);
            let service = hyper::service::service_fn(move |_| {
                let barrier = Arc::clone(&barrier);
                async move {
                    barrier.wait().await;
                    Ok::<_, std::convert::Infallible>(answer("ok"))
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(2)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });

    let base = format!("http://{address}");
    let limits = UpstreamLimits::default();
    let upstream = Upstream::with_protocol(UpstreamProtocol::Http2, &base, limits).unwrap();
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        let upstream = upstream.clone();
        requests.spawn(async move { status(&upstream, get("/")).await });
    }
    assert_eq!(within(requests.join_all()).await, [200; REQUESTS]);
}

#[tokio::test]
async fn uses_no_connection_again_whose_upgrade_was_not_agreed() {
    let (address, connections) = app("", true).await;
    let proxy = proxy(address).await;
    let websocket =
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let mut client = Raw::connect(proxy.address).await;
    client.send(websocket).await;
    client.read_until("ok").await;
    assert!(ask(proxy.address, "GET / HTTP/1.1").await.ends_with("ok"));
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
