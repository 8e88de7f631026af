//! The service, tested over plain HTTP/1.1 on loopback.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the message"
)]

use std::net::SocketAddr;

use chassis::{Readiness, Shutdown, Trigger};
use coins::Config;
use coins::drawing::Scene;
use coins::money::Currency;
use coins::picture::{Format, encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running service.
struct TestService {
    address: SocketAddr,
    stop: Trigger,
    task: JoinHandle<Result<(), coins::Error>>,
}

impl TestService {
    async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = Shutdown::pair();
        let task = tokio::spawn(coins::serve(config, listener, shutdown, Readiness::new()));
        Self {
            address,
            stop,
            task,
        }
    }

    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> TestResponse {
        self.send("POST", path, headers, body).await
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> TestResponse {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: coins\r\nconnection: close\r\n{headers}\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The service may respond and close before it has read everything.
        let _ = stream.write_all(body).await;
        TestResponse::read(stream).await
    }

    async fn stop(self) {
        self.stop.fire();
        self.task.await.unwrap().unwrap();
    }
}

struct TestResponse {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl TestResponse {
    async fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a whole head");
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();

        Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns the status and the error code.
    fn error(&self) -> (u16, String) {
        (
            self.status,
            self.json()["error"]["code"].as_str().unwrap().to_owned(),
        )
    }
}

fn photo() -> Vec<u8> {
    let scene = Scene::new(1000, 800, 6.0).coins(Currency::Usd, &[25, 10, 5, 1, 1]);
    encode(&scene.draw(), Format::Jpeg).unwrap()
}

const JPEG: &str = "content-type: image/jpeg\r\n";
const VIDEO: &str = "content-type: video/mp4\r\n";

#[tokio::test]
async fn answers_a_photo_with_its_value() {
    let service = TestService::start(Config::default()).await;
    let answer = service.post("/v1/coins?currency=usd", JPEG, &photo()).await;
    assert_eq!(answer.status, 200);

    let count = answer.json();
    // 25 + 10 + 5 + 1 + 1.
    assert_eq!(count["total"]["minor"], 42);
    assert_eq!(count["total"]["display"], "$0.42");
    assert_eq!(count["coins"].as_array().unwrap().len(), 5);
    assert_eq!(count["coins"][0]["name"], "quarter");
    assert_eq!(count["image"]["width"], 1000);
    assert!(count["timing_ms"]["detect"].is_u64());
    service.stop().await;
}

#[tokio::test]
async fn returns_an_annotated_picture_on_request() {
    let service = TestService::start(Config::default()).await;
    let (photo, both) = (photo(), format!("{JPEG}accept: image/png\r\n"));
    let drawn = service.post("/v1/coins/annotated", JPEG, &photo).await;
    assert!(
        drawn.status == 200 && drawn.head.contains("image/jpeg"),
        "{}",
        drawn.head
    );
    assert!(drawn.body.starts_with(&[0xff, 0xd8]));

    let drawn = service.post("/v1/coins?annotate=1", JPEG, &photo).await;
    assert!(drawn.body.starts_with(&[0xff, 0xd8]));
    let drawn = service.post("/v1/coins", &both, &photo).await;
    assert!(drawn.head.contains("image/png") && drawn.body.starts_with(b"\x89PNG"));
    service.stop().await;
}

#[tokio::test]
async fn rejects_invalid_bodies_with_an_explanation() {
    let service = TestService::start(Config {
        max_body_bytes: 200_000,
        ..Config::default()
    })
    .await;
    let (post, photo) = (
        |headers, body| service.post("/v1/coins", headers, body),
        photo(),
    );

    let error = |status, code: &str| (status, code.to_owned());
    assert_eq!(post("", b"hello").await.error(), error(422, "not_an_image"));
    assert_eq!(post("", b"").await.error(), error(422, "not_an_image"));

    // Half a JPEG has no end marker.
    let half = &photo[..photo.len() / 2];
    assert_eq!(
        post(JPEG, half).await.error(),
        error(422, "truncated_image")
    );

    // One byte over the limit.
    let long = vec![0; 200_001];
    assert_eq!(
        post(JPEG, &long).await.error(),
        error(413, "body_too_large")
    );

    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    // Detected by the bytes without a type, and by the declared type.
    for headers in ["", "content-type: image/heic\r\n"] {
        let answer = post(headers, heic).await;
        assert_eq!(answer.error(), error(415, "unsupported_media_type"));
        let error = &answer.json()["error"];
        assert!(
            error["message"].as_str().unwrap().contains("image/heic"),
            "{error}"
        );
        assert_eq!(error["accepted"][0], "image/jpeg");
    }

    let answer = service.post("/v1/coins?currency=gbp", JPEG, &photo).await;
    assert_eq!(answer.error(), error(400, "bad_query"));
    service.stop().await;
}

#[tokio::test]
async fn rejects_a_photo_over_the_pixel_limit() {
    let service = TestService::start(Config {
        // The photo has 800,000 pixels.
        max_pixels: 1000,
        ..Config::default()
    })
    .await;
    let answer = service.post("/v1/coins", JPEG, &photo()).await;
    assert_eq!(answer.error(), (413, "image_too_large".to_owned()));
    service.stop().await;
}

#[tokio::test]
async fn rejects_other_methods_and_paths() {
    let service = TestService::start(Config::default()).await;
    let answer = service.send("GET", "/v1/coins", "", b"").await;
    assert_eq!(answer.error(), (405, "only_post".to_owned()));
    assert!(answer.head.contains("allow: post"));
    assert_eq!(service.send("GET", "/nothing", "", b"").await.status, 404);
    assert_eq!(service.send("GET", "/healthz", "", b"").await.status, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_full_queue_answers_503_with_retry_after() {
    let service = TestService::start(Config {
        workers: 1,
        max_queued_requests: 0,
        ..Config::default()
    })
    .await;

    // All at once, for one slot: the first one takes it, and counting takes longer than receiving.
    let photo = photo();
    let post = || service.post("/v1/coins", JPEG, &photo);
    let answers = tokio::join!(post(), post(), post(), post(), post(), post());
    let answers: [TestResponse; 6] = answers.into();

    assert!(answers.iter().any(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert_eq!(refused.error(), (503, "busy".to_owned()));
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    service.stop().await;
}

#[tokio::test]
async fn requests_with_incomplete_bodies_take_no_place_in_the_queue() {
    let service = TestService::start(Config::default()).await;
    let mut slow = Vec::new();
    for media_type in [JPEG, VIDEO].iter().cycle().take(200) {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let head = format!(
            "POST /v1/coins HTTP/1.1\r\nhost: coins\r\n{media_type}content-length: 300000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"\xff\xd8").await.unwrap();
        slow.push(stream);
    }

    let answer = service.post("/v1/coins", JPEG, &photo()).await;
    assert_eq!(answer.status, 200);
    drop(slow);
    service.stop().await;
}

#[tokio::test]
async fn ends_a_body_that_arrives_too_slowly() {
    let service = TestService::start(Config {
        min_body_bytes_per_second: 1000,
        body_timeout: "10m".parse().unwrap(),
        ..Config::default()
    })
    .await;
    let mut slow = TcpStream::connect(service.address).await.unwrap();
    slow.write_all(b"POST /v1/coins HTTP/1.1\r\nhost: coins\r\ncontent-length: 9\r\nconnection: close\r\n\r\nab")
        .await
        .unwrap();

    let answer = TestResponse::read(slow).await;
    assert_eq!(answer.error(), (408, "too_slow".to_owned()));
    service.stop().await;
}

#[tokio::test]
async fn large_photos_are_counted_one_after_the_other() {
    let photo = photo();
    let service = TestService::start(Config {
        workers: 4,
        // Enough for one photo of 800,000 pixels, besides the bodies and the program.
        memory_bytes: 160 << 20,
        ..Config::default()
    })
    .await;
    let post = || service.post("/v1/coins", JPEG, &photo);
    let (a, b, c, d) = tokio::join!(post(), post(), post(), post());
    for answer in [a, b, c, d] {
        assert_eq!(answer.status, 200);
    }
    service.stop().await;
}

#[tokio::test]
async fn refuses_a_photo_that_needs_more_memory_than_there_is() {
    let service = TestService::start(Config {
        memory_bytes: 100 << 20,
        ..Config::default()
    })
    .await;
    let answer = service.post("/v1/coins", JPEG, &photo()).await;
    assert_eq!(answer.error(), (413, "image_too_large".to_owned()));
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("the limit is 33 MiB"), "{message}");
    service.stop().await;
}

#[tokio::test]
async fn times_out_on_an_incomplete_body() {
    let body_timeout = "50ms".parse().unwrap();
    let service = TestService::start(Config {
        body_timeout,
        ..Config::default()
    })
    .await;
    let mut slow = TcpStream::connect(service.address).await.unwrap();

    slow.write_all(b"POST /v1/coins HTTP/1.1\r\nhost: coins\r\ncontent-length: 9\r\n\r\nab")
        .await
        .unwrap();

    let mut bytes = [0; 12];
    slow.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 408");
    drop(slow);
    service.stop().await;
}

#[tokio::test]
async fn rejects_videos_without_a_thumbnail_service() {
    let service = TestService::start(Config::default()).await;
    let answer = service.post("/v1/coins", VIDEO, b"a video").await;
    assert_eq!(answer.error(), (415, "no_videos".to_owned()));
    service.stop().await;
}

/// A thumbnail service that answers one request with the given bytes and returns the request.
async fn thumbnail(answer: Vec<u8>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("end of video") {
            assert!(
                stream.read_buf(&mut request).await.unwrap() > 0,
                "the video ends early"
            );
        }

        stream.write_all(&answer).await.unwrap();
        String::from_utf8_lossy(&request).into_owned()
    });

    (base, task)
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn counts_coins_in_a_video() {
    let (base, video) = thumbnail(http("200 OK", &photo())).await;
    let service = TestService::start(Config {
        thumbnail: Some(base),
        ..Config::default()
    })
    .await;
    let answer = service
        .post("/v1/coins?at=12.5", VIDEO, b"a video, end of video")
        .await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["total"]["minor"], 42);
    let request = video.await.unwrap();
    // The position is passed on unchanged; width and format are fixed.
    assert!(request.starts_with("POST /v1/thumbnail?at=12.5&width=1600&format=jpeg HTTP/1.1\r\n"));
    assert!(request.contains("content-type: video/mp4\r\n"), "{request}");
    service.stop().await;
}

#[tokio::test]
async fn passes_on_errors_of_the_thumbnail_service() {
    let words = br#"{"error":{"code":"no_video","message":"there is no video stream"}}"#;
    for (response, status, code) in [
        ("422 Unprocessable Entity", 422, "video_refused"),
        ("503 Service Unavailable", 503, "thumbnail_busy"),
        ("500 Internal Server Error", 502, "thumbnail_failed"),
    ] {
        let (base, video) = thumbnail(http(response, words)).await;
        let service = TestService::start(Config {
            thumbnail: Some(base),
            ..Config::default()
        })
        .await;
        let answer = service.post("/v1/coins", VIDEO, b"end of video").await;

        assert_eq!(answer.error(), (status, code.to_owned()));
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains("there is no video stream"), "{message}");
        // Without `at` the middle of the video is used.
        assert!(video.await.unwrap().contains("at=50%25&"));
        service.stop().await;
    }
}

#[tokio::test]
async fn an_unreachable_thumbnail_service_is_503() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", gone.local_addr().unwrap());
    // A port that was free a moment ago refuses connections.
    drop(gone);

    let service = TestService::start(Config {
        thumbnail: Some(base),
        ..Config::default()
    })
    .await;
    let answer = service.post("/v1/coins", VIDEO, b"a video").await;

    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after"));
    service.stop().await;
}
