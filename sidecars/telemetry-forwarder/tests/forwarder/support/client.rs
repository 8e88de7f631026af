//! Senders: requests over HTTP/1.1, or calls over gRPC with hand-written frames.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::samples::traces;

/// A response, read completely.
#[derive(Debug)]
pub(crate) struct FullResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends a request over HTTP/1.1.
pub(crate) async fn send(address: SocketAddr, mut request: Request<Full<Bytes>>) -> FullResponse {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    request
        .headers_mut()
        .insert("host", "localhost".parse().unwrap());
    read_response(sender.send_request(request).await.unwrap()).await
}

/// Sends a request over HTTP/2.
pub(crate) async fn send_h2(address: SocketAddr, request: Request<Full<Bytes>>) -> FullResponse {
    let stream = TcpStream::connect(address).await.unwrap();
    let io = TokioIo::new(stream);
    // Prior knowledge: the forwarder's ports accept HTTP/2 without TLS or an upgrade.
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    read_response(sender.send_request(request).await.unwrap()).await
}

async fn read_response(response: http::Response<hyper::body::Incoming>) -> FullResponse {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    FullResponse {
        status: head.status,
        headers: head.headers,
        trailers,
        body: collected.to_bytes(),
    }
}

/// Sends spans over one connection until it closes; calls `acknowledged` with the name of each
/// acknowledged span.
pub(crate) async fn send_until_closed(
    address: SocketAddr,
    prefix: &str,
    acknowledged: impl Fn(String),
) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);

    for number in 0.. {
        let name = format!("{prefix}{number}");
        let mut request = post_traces(traces([&name]));
        request
            .headers_mut()
            .insert("host", "localhost".parse().unwrap());
        let Ok(response) = sender.send_request(request).await else {
            return;
        };

        // A 503 during the drain is fine: the span was not acknowledged.
        if response.status() == StatusCode::OK {
            acknowledged(name);
        }
        if response.into_body().collect().await.is_err() || sender.ready().await.is_err() {
            return;
        }
    }
}

/// Builds a POST request with headers.
pub(crate) fn post(
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(Method::POST).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Builds a protobuf request of traces.
pub(crate) fn post_traces(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    post(
        "/v1/traces",
        &[("content-type", "application/x-protobuf")],
        body,
    )
}

/// Sends traces and asserts that they are acknowledged.
pub(crate) async fn deliver(address: SocketAddr, body: impl Into<Bytes>) {
    let response = send(address, post_traces(body)).await;
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
}

/// Calls a gRPC method with one message.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    headers: &[(&str, &str)],
    frame: Vec<u8>,
) -> FullResponse {
    let uri = format!("http://{address}{method}");
    let mut all = vec![("content-type", "application/grpc"), ("te", "trailers")];
    all.extend_from_slice(headers);
    send_h2(address, post(&uri, &all, frame)).await
}

/// Frames a gRPC message: flag, length, message.
pub(crate) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

/// Returns the gRPC status, from the trailers or, in a trailers-only response, from the headers.
pub(crate) fn grpc_status(response: &FullResponse) -> u16 {
    let status = response
        .trailers
        .get("grpc-status")
        .or_else(|| response.headers.get("grpc-status"));
    status.unwrap().to_str().unwrap().parse().unwrap()
}
