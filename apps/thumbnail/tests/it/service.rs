//! Tests the service over a socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::http::client::ProxySettings;
use chassis::{HumanDuration, Readiness, Shutdown, Trigger};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thumbnail::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::clips::{self, video};
use crate::server::{Behavior, Server};

struct Service {
    address: SocketAddr,
    stop: Trigger,
    ended: JoinHandle<()>,
}

impl Service {
    async fn start(config: Config) -> Self {
        Self::start_with_proxy(config, ProxySettings::none()).await
    }

    async fn start_with_proxy(config: Config, proxy: ProxySettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = Shutdown::pair();
        let config = Config { proxy, ..config };
        let serving = thumbnail::serve(config, listener, shutdown, Readiness::new());
        let ended = tokio::spawn(async move { serving.await.unwrap() });

        Self {
            address,
            stop,
            ended,
        }
    }

    async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "service")
            .body(Full::new(body.into()))
            .unwrap();

        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        driver.abort();

        Response::from_parts(head, body)
    }

    async fn post(&self, query: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        self.send(Method::POST, &format!("/v1/thumbnail{query}"), body)
            .await
    }

    async fn get(&self, source: &str) -> Response<Bytes> {
        self.send(Method::GET, &format!("/v1/thumbnail?src={source}"), "")
            .await
    }

    async fn stop(self) {
        self.stop.fire();
        tokio::time::timeout(Duration::from_secs(20), self.ended)
            .await
            .unwrap()
            .unwrap();
    }
}

/// Asserts that a response has this status and error code.
fn assert_error(response: &Response<Bytes>, status: StatusCode, code: &str) {
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(response.status(), status, "{body}");
    assert_eq!(body["error"]["code"], code, "{body}");
}

fn bytes_of(video: std::path::PathBuf) -> Bytes {
    std::fs::read(video).unwrap().into()
}

#[tokio::test]
async fn responds_with_the_picture_of_a_video() {
    let Some(video) = clips::mp4() else { return };
    let service = Service::start(Config::default()).await;
    let response = service
        .post(
            "?at=50%25&width=1600&format=png&seek=exact",
            bytes_of(video),
        )
        .await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(clips::number(response.body()), 100);

    let report: Value =
        serde_json::from_str(response.headers()["x-thumbnail-report"].to_str().unwrap()).unwrap();
    assert_eq!(report["pts"], 4.0);
    assert_eq!(report["width"], 320);
    service.stop().await;
}

#[tokio::test]
async fn spools_a_large_video_to_a_temporary_file() {
    let Some(video) = clips::mp4() else { return };
    let service = Service::start(Config {
        max_memory_body_bytes: 1000,
        ..Config::default()
    })
    .await;
    let response = service.post("?at=4", bytes_of(video)).await;
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    assert_eq!(clips::number(response.body()), 100);
    service.stop().await;
}

#[tokio::test]
async fn responds_with_the_status_of_the_error_kind() {
    let service = Service::start(Config {
        max_body_bytes: 2_000_000,
        ..Config::default()
    })
    .await;

    assert_error(
        &service.post("", "").await,
        StatusCode::BAD_REQUEST,
        "empty",
    );
    assert_error(
        &service.post("?at=noon", "x").await,
        StatusCode::BAD_REQUEST,
        "usage",
    );

    assert_error(
        &service.post("?size=1", "x").await,
        StatusCode::BAD_REQUEST,
        "usage",
    );
    assert_error(
        &service.post("", "no video").await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_media",
    );

    let playlist = "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n";
    assert_error(
        &service.post("", playlist).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_media",
    );

    // A `moov` box that claims more bytes than the file has.
    let cut = &b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\x10\0moov"[..];
    assert_error(
        &service.post("", cut).await,
        StatusCode::UNPROCESSABLE_ENTITY,
        "damaged",
    );

    let long = vec![0; 2_000_001];
    assert_error(
        &service.post("", long).await,
        StatusCode::PAYLOAD_TOO_LARGE,
        "source_too_big",
    );

    if let Some(sound) = video("sound.m4a", &["-map", "1", "-c:a", "aac"]) {
        let response = service.post("", bytes_of(sound)).await;
        assert_error(&response, StatusCode::UNPROCESSABLE_ENTITY, "no_video");
    }

    let response = service.send(Method::DELETE, "/v1/thumbnail", "").await;
    assert_error(
        &response,
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
    );
    assert_error(
        &service.send(Method::GET, "/", "").await,
        StatusCode::NOT_FOUND,
        "not_found",
    );

    let response = service.send(Method::GET, "/healthz", "").await;
    assert_eq!(response.status(), StatusCode::OK);
    service.stop().await;
}

#[tokio::test]
async fn requests_only_allowed_sources() {
    let Some(video) = clips::mp4() else { return };
    let server = Server::start();
    let source = server.serve(
        "/videos/a.mp4",
        Behavior::Video(std::fs::read(video).unwrap()),
    );
    // An allowed URL that redirects to a path outside `sources`.
    let away = server.serve(
        "/videos/away",
        Behavior::Status(302, "location", "/secret".to_owned()),
    );

    server.serve("/secret", Behavior::Video(vec![0; 10]));
    let sources = vec![format!("http://{}/videos/", server.address)];

    // `sources` is empty by default; an allowed URL must still have a public address.
    let closed = Service::start(Config::default()).await;
    assert_error(
        &closed.get(&source).await,
        StatusCode::FORBIDDEN,
        "source_denied",
    );
    closed.stop().await;

    let public = Service::start(Config {
        sources: sources.clone(),
        ..Config::default()
    })
    .await;

    assert_error(
        &public.get(&source).await,
        StatusCode::FORBIDDEN,
        "source_denied",
    );
    public.stop().await;
    assert!(server.requests().is_empty());

    let config = Config {
        sources,
        insecure_private_sources: true,
        ..Config::default()
    };
    let service = Service::start(config).await;
    let response = service.get(&format!("{source}&at=4")).await;

    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(clips::number(response.body()), 100);
    assert_error(
        &service.get(&away).await,
        StatusCode::BAD_GATEWAY,
        "source_network",
    );

    let outside = format!("http://{}/secret", server.address);
    assert_error(
        &service.get(&outside).await,
        StatusCode::FORBIDDEN,
        "source_denied",
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.path != "/secret")
    );
    service.stop().await;
}

#[tokio::test]
async fn uses_a_proxy_for_a_source_only_where_allowed() {
    // The proxy gets the absolute URL of plain http as the path (RFC 9112, section 3.2.2).
    let proxy = Server::start();
    let source = "http://media.test/videos/a";
    proxy.serve(source, Behavior::Whole(b"no video".to_vec()));
    let url = format!("http://{}", proxy.address);
    let settings =
        ProxySettings::from_variables(|name| (name == "HTTP_PROXY").then(|| url.clone()));
    let config = Config {
        sources: vec!["http://media.test/videos/".to_owned()],
        ..Config::default()
    };

    let service = Service::start_with_proxy(config.clone(), settings.clone()).await;
    assert_error(
        &service.get(source).await,
        StatusCode::FORBIDDEN,
        "source_denied",
    );
    service.stop().await;
    assert!(proxy.requests().is_empty());

    let config = Config {
        insecure_proxied_sources: true,
        ..config
    };
    let service = Service::start_with_proxy(config, settings).await;
    assert_error(
        &service.get(source).await,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_media",
    );
    service.stop().await;
    assert!(!proxy.requests().is_empty());
}

#[tokio::test]
async fn rejects_requests_when_all_slots_are_taken() {
    let server = Server::start();
    let source = server.serve("/videos/silent", Behavior::Silent);
    let config = Config {
        sources: vec![format!("http://{}/videos", server.address)],
        insecure_private_sources: true,
        workers: 1,
        max_queued_requests: 0,
        // Ends the first request, which waits for a server that never responds.
        timeout: HumanDuration::from_secs(2),
        ..Config::default()
    };

    let service = Arc::new(Service::start(config).await);
    let first = tokio::spawn({
        let service = service.clone();
        async move { service.get(&source).await }
    });

    // The slot is taken once the source is requested.
    let waiting = tokio::time::timeout(Duration::from_secs(10), async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
    });

    waiting.await.unwrap();
    let rejected = service.post("", "no video").await;
    assert_error(&rejected, StatusCode::SERVICE_UNAVAILABLE, "busy");
    assert_eq!(rejected.headers()["retry-after"], "1");

    let first = first.await.unwrap();
    assert_error(&first, StatusCode::GATEWAY_TIMEOUT, "timeout");

    // The slot is free again.
    let response = service.post("", "no video").await;
    assert_error(&response, StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_media");
}

#[tokio::test]
async fn requests_with_incomplete_bodies_take_no_slot() {
    let service = Service::start(Config::default()).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head = "POST /v1/thumbnail HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\nab";
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }

    let response = service.post("", "no video").await;
    assert_error(&response, StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_media");
    drop(slow);
    service.stop().await;
}

#[tokio::test]
async fn ends_a_body_that_arrives_too_slowly() {
    let service = Service::start(Config {
        body_timeout: HumanDuration::from_secs(600),
        ..Config::default()
    })
    .await;
    let mut slow = TcpStream::connect(service.address).await.unwrap();
    let head = "POST /v1/thumbnail HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\nab";
    slow.write_all(head.as_bytes()).await.unwrap();

    let mut status = [0; 12];
    slow.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 408");
    drop(slow);
    service.stop().await;
}

#[tokio::test]
async fn refuses_a_picture_over_the_memory_for_pictures() {
    let Some(video) = clips::mp4() else { return };
    let service = Service::start(Config {
        // Leaves 12 KiB for pictures, and the decoder has its process or thread.
        memory_bytes: 256 << 10,
        ..Config::default()
    })
    .await;
    let response = service.post("?width=0&format=png", bytes_of(video)).await;
    assert_error(&response, StatusCode::UNPROCESSABLE_ENTITY, "unsupported");
    service.stop().await;
}
