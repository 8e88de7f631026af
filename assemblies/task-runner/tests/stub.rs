//! What stands in a container's place, asked as a client would ask it.
#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

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

/// One that runs; it ends with the test.
struct Stub {
    process: Child,
    port: u16,
}

impl Stub {
    fn start(kind: &str) -> Self {
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

    async fn call(&self) -> TokioIo<TcpStream> {
        let end = Instant::now() + LIMIT;
        loop {
            match TcpStream::connect(("127.0.0.1", self.port)).await {
                Ok(called) => return TokioIo::new(called),
                Err(why) => assert!(Instant::now() < end, "nobody listens: {why}"),
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

fn post(target: String, form: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let request = Request::post(target)
        .header("content-type", form)
        .header("host", "localhost");
    request.body(Full::from(body)).unwrap()
}

#[tokio::test]
async fn an_export_over_grpc_is_taken_and_ends_with_a_status_in_its_trailers() {
    for kind in ["otlp-sink", "http-200"] {
        let stub = Stub::start(kind);
        let opened = http2::handshake(TokioExecutor::new(), stub.call().await).await;
        let (mut client, connection) = opened.unwrap();
        tokio::spawn(connection);

        let target = format!("http://127.0.0.1:{}{EXPORT}", stub.port);
        // A frame with a message of two bytes.
        let request = post(target, "application/grpc+proto", &[0, 0, 0, 0, 2, 0x0a, 0]);
        let answer = client.send_request(request).await.unwrap();

        assert_eq!(
            (answer.status(), answer.version()),
            (StatusCode::OK, Version::HTTP_2)
        );
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        let body = answer.into_body().collect().await.unwrap();

        assert_eq!(body.trailers().unwrap()["grpc-status"], "0", "{kind}");
        assert_eq!(body.to_bytes(), [0; 5].as_slice());
    }
}

#[tokio::test]
async fn the_same_port_takes_otlp_over_http_in_both_of_its_forms() {
    let stub = Stub::start("otlp-sink");
    let (mut client, connection) = http1::handshake(stub.call().await).await.unwrap();
    tokio::spawn(connection);

    for (form, expected) in [("application/json", "{}"), ("application/x-protobuf", "")] {
        let request = post("/v1/traces".to_owned(), form, b"{}");
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(
            (answer.status(), answer.version()),
            (StatusCode::OK, Version::HTTP_11)
        );
        assert_eq!(answer.headers()["content-type"], form);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expected);
    }
}
