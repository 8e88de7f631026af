//! OTLP over gRPC: one unary method per signal, with the framing implemented here.
//!
//! The framing is a five-byte prefix and a few trailers. A gRPC library would decode every message
//! into structs, and would reject a request that is too large with a retryable status.

use std::fmt::Write as _;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, Bytes};
use chassis::BoxError;
use chassis::http::{Body, ReceiveError, box_body, empty, full};
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::body::{BodyError, gunzip};
use super::intake::Intake;
use crate::otlp::Signal;
use crate::otlp::status::{Code, Status};

/// Returns whether a request is a gRPC call, by its content type.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map_or(&[][..], HeaderValue::as_bytes);
    let essence = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();

    matches!(
        essence.trim_ascii(),
        b"application/grpc" | b"application/grpc+proto"
    )
}

pub(super) async fn handle<B>(intake: &Intake, head: &Parts, body: Pin<&mut B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    // gRPC calls are always POST ("gRPC over HTTP/2", Requests), so this is not a gRPC client.
    if head.method != Method::POST {
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }

    let path = head.uri.path();
    let Some(signal) = Signal::ALL
        .into_iter()
        .find(|signal| signal.method() == path)
    else {
        return reject(&Status::new(Code::Unimplemented, "unknown method"));
    };

    match receive(intake, signal, head, body).await {
        Ok(()) => success(),
        Err(status) => {
            intake.count_refusal(signal, &status);
            reject(&status)
        }
    }
}

async fn receive<B>(
    intake: &Intake,
    signal: Signal,
    head: &Parts,
    body: Pin<&mut B>,
) -> Result<(), Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let encoding = Encoding::from_headers(&head.headers)?;
    let limits = intake.limits();
    let limit = limits.max_body_bytes;

    // The prefix holds the length, so a message that is too large is refused before it arrives.
    let inspect = |received: &[u8]| match prefix(received) {
        Some((_, length)) if length > limit => Err(ReceiveError::TooLarge { limit }),
        _ => Ok(()),
    };
    let receiver = limits.bodies.receive(&head.extensions);
    let received = receiver.read_to_end(body, limit + PREFIX, inspect).await;
    let received = received.map_err(BodyError::from)?;
    let (mut bytes, mut memory) = (received.bytes, received.memory);

    let Some((flag, length)) = prefix(&bytes) else {
        return Err(Status::new(Code::Internal, "the request has no message"));
    };

    bytes.advance(PREFIX);
    if bytes.len() != length {
        return Err(Status::new(
            Code::Internal,
            "the request must have exactly one message",
        ));
    }

    // The flag is per message: with `grpc-encoding: gzip`, a sender may still send plain ones.
    let message = match (flag, encoding) {
        (0, _) => bytes,
        (1, Encoding::Gzip) => gunzip(bytes, limit, &mut memory).await?,
        (1, Encoding::Identity) => {
            return Err(Status::new(
                Code::Internal,
                "the message is compressed, but `grpc-encoding` is missing",
            ));
        }
        _ => {
            return Err(Status::new(
                Code::Internal,
                "the message has an unknown compression flag",
            ));
        }
    };

    intake.accept(signal, message, memory).await
}

/// The encoding of the compressed messages of a request.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    fn from_headers(headers: &HeaderMap) -> Result<Self, Status> {
        let encoding = headers
            .get(ENCODING)
            .map_or(&b"identity"[..], HeaderValue::as_bytes);
        match encoding {
            b"identity" => Ok(Self::Identity),
            b"gzip" => Ok(Self::Gzip),
            _ => Err(Status::new(
                Code::Unimplemented,
                "unsupported `grpc-encoding`, use gzip or identity",
            )),
        }
    }
}

/// Parses the compressed flag and the length of the message that follows.
fn prefix(bytes: &[u8]) -> Option<(u8, usize)> {
    let ([flag, length @ ..], _) = bytes.split_first_chunk::<PREFIX>()?;
    Some((*flag, u32::from_be_bytes(*length) as usize))
}

/// Builds a success: one empty message and `grpc-status: 0` as a trailer.
fn success() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from_static(&[0; PREFIX]));
    response(box_body(
        message.with_trailers(std::future::ready(Some(Ok(trailers)))),
    ))
}

/// Builds an error as a trailers-only response, which puts the status into the headers.
fn reject(status: &Status) -> Response<Body> {
    let mut response = response(full(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(status.code as u16));

    let mut insert = |name: &HeaderName, text: String| {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };

    insert(&MESSAGE, percent_encode(&status.message));
    insert(&DETAILS, STANDARD_NO_PAD.encode(status.to_protobuf()));

    // Most clients read `grpc-status-details-bin`; the Python SDK reads this header.
    if let Some(info) = status.retry_info() {
        insert(&RETRY_INFO, STANDARD_NO_PAD.encode(info));
    }
    response
}

fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip"));
    response
}

/// Encodes a `grpc-message`: printable ASCII stays, everything else is percent-encoded.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => drop(write!(out, "%{byte:02X}")),
            plain => out.push(char::from(plain)),
        }
    }
    out
}

const PREFIX: usize = 5;
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const RETRY_INFO: HeaderName = HeaderName::from_static("google.rpc.retryinfo-bin");
