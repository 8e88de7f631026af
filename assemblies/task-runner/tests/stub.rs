//! The stubs, queried by HTTP clients.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::sleep;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LIMIT: Duration = Duration::from_secs(20);

/// A running stub; dropping it ends it.
struct Stub {
    process: Child,
    port: u16,
}

impl Stub {
    fn start(kind: &str) -> Self {
        // Free when asked; a stub cannot report the port it chose.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(env!("CARGO_BIN_EXE_runner-fixture"))
            .args(["__stub", kind, &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, port }
    }

    async fn connect(&self) -> TokioIo<TcpStream> {
        let end = Instant::now() + LIMIT;
        loop {
            match TcpStream::connect(("127.0.0.1", self.port)).await {
                Ok(stream) => return TokioIo::new(stream),
                Err(error) => assert!(Instant::now() < end, "the stub does not listen: {error}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn post(target: String, content_type: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let request = Request::post(target)
        .header("content-type", content_type)
        .header("host", "localhost");
    request.body(Full::from(body)).unwrap()
}

#[tokio::test]
async fn accepts_exports_over_grpc_and_sends_a_status_in_the_trailers() {
    for kind in ["otlp-sink", "http-200"] {
        let stub = Stub::start(kind);
        let handshake = http2::handshake(TokioExecutor::new(), stub.connect().await).await;
        let (mut client, connection) = handshake.unwrap();
        tokio::spawn(connection);

        let target = format!("http://127.0.0.1:{}{EXPORT}", stub.port);
        // A gRPC message: not compressed, a length of two bytes, and an empty field 1.
        let request = post(target, "application/grpc+proto", &[0, 0, 0, 0, 2, 0x0a, 0]);
        let response = client.send_request(request).await.unwrap();

        assert_eq!(
            (response.status(), response.version()),
            (StatusCode::OK, Version::HTTP_2)
        );
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let body = response.into_body().collect().await.unwrap();

        assert_eq!(body.trailers().unwrap()["grpc-status"], "0", "{kind}");
        // An empty message: five bytes of prefix.
        assert_eq!(body.to_bytes(), [0; 5].as_slice());
    }
}

#[tokio::test]
async fn accepts_otlp_over_http_in_json_and_protobuf_on_the_same_port() {
    let stub = Stub::start("otlp-sink");
    let (mut client, connection) = http1::handshake(stub.connect().await).await.unwrap();
    tokio::spawn(connection);

    // The response has the content type of the request (OTLP/HTTP).
    for (content_type, expected) in [("application/json", "{}"), ("application/x-protobuf", "")] {
        let request = post("/v1/traces".to_owned(), content_type, b"{}");
        let response = client.send_request(request).await.unwrap();
        assert_eq!(
            (response.status(), response.version()),
            (StatusCode::OK, Version::HTTP_11)
        );
        assert_eq!(response.headers()["content-type"], content_type);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected);
    }
}
