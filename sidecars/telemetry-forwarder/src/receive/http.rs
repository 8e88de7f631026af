//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics` and `/v1/logs`, in protobuf or JSON.

use std::pin::Pin;

use bytes::Bytes;
use chassis::BoxError;
use chassis::http::{Body, empty, full};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::body::{BodyError, gunzip};
use super::intake::Intake;
use crate::otlp::Signal;
use crate::otlp::from_json::from_json;
use crate::otlp::status::{Code, Status};

/// The format of a request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

/// The content encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentEncoding {
    Identity,
    Gzip,
}

pub(super) async fn handle<B>(intake: &Intake, head: &Parts, body: Pin<&mut B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let path = head.uri.path();
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.path() == path) else {
        let message = "unknown path, send to `/v1/traces`, `/v1/metrics` or `/v1/logs`";
        let status = Status::new(Code::NotFound, message);
        return reject(StatusCode::NOT_FOUND, Format::Json, &status);
    };

    if head.method != Method::POST {
        let status = Status::new(Code::Unimplemented, "method not allowed, use POST");
        let mut response = reject(StatusCode::METHOD_NOT_ALLOWED, Format::Json, &status);
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }

    let (Some(format), encoding) = (format(&head.headers), encoding(&head.headers)) else {
        let message =
            "unsupported Content-Type, use `application/x-protobuf` or `application/json`";
        return reject_unsupported(intake, signal, Format::Json, message);
    };

    // Checked separately, since here the response can use the format of the request.
    let Some(encoding) = encoding else {
        return reject_unsupported(
            intake,
            signal,
            format,
            "unsupported Content-Encoding, use gzip or none",
        );
    };
    let extensions = &head.extensions;
    match receive(intake, signal, format, encoding, extensions, body).await {
        Ok(()) => success(format),
        Err(status) => {
            intake.count_refusal(signal, &status);
            reject(http_status(&status), format, &status)
        }
    }
}

async fn receive<B>(
    intake: &Intake,
    signal: Signal,
    format: Format,
    encoding: ContentEncoding,
    extensions: &Extensions,
    body: Pin<&mut B>,
) -> Result<(), Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let limits = intake.limits();
    let limit = limits.max_body_bytes;
    let receiver = limits.bodies.receive(extensions);
    let received = receiver.read_to_end(body, limit, |_| Ok(())).await;
    let received = received.map_err(BodyError::from)?;
    let (bytes, mut memory) = (received.bytes, received.memory);

    let bytes = match encoding {
        // An empty body is not a gzip stream, but some clients label it as one.
        ContentEncoding::Gzip if !bytes.is_empty() => gunzip(bytes, limit, &mut memory).await?,
        _ => bytes,
    };

    let request = match format {
        Format::Protobuf => bytes,
        Format::Json => {
            let growth = memory.grow(max_protobuf_bytes(&bytes)).await;
            growth.map_err(BodyError::from)?;
            let request = from_json(signal, &bytes)
                .map_err(|error| Status::new(Code::InvalidArgument, error.to_string()))?;
            drop(bytes);
            memory.shrink_to(request.len());
            request.into()
        }
    };

    intake.accept(signal, request, memory).await
}

/// Returns a limit of the size of a JSON request in protobuf.
///
/// A name or value takes no more bytes than in JSON, except a number in a list, which may take eight.
fn max_protobuf_bytes(json: &[u8]) -> usize {
    let values = json
        .iter()
        .filter(|byte| matches!(byte, b',' | b'['))
        .count();
    json.len() + 8 * values
}

fn format(headers: &HeaderMap) -> Option<Format> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Format::Protobuf)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(Format::Json)
    } else {
        None
    }
}

fn encoding(headers: &HeaderMap) -> Option<ContentEncoding> {
    // A list of encodings is rejected: OTLP/HTTP defines a single one, gzip.
    let mut lines = headers.get_all(CONTENT_ENCODING).iter();
    match (lines.next().map(HeaderValue::as_bytes), lines.next()) {
        (None, _) => Some(ContentEncoding::Identity),
        (Some(name), None) if name.eq_ignore_ascii_case(b"identity") => {
            Some(ContentEncoding::Identity)
        }
        (Some(name), None) if name.eq_ignore_ascii_case(b"gzip") => Some(ContentEncoding::Gzip),
        _ => None,
    }
}

fn http_status(status: &Status) -> StatusCode {
    match status.code {
        // Of these, OTLP lists only 503 as retryable; the others make the sender drop the data.
        Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// Builds a success: an empty message, since `partial_success` is unset.
fn success(format: Format) -> Response<Body> {
    let body = match format {
        Format::Protobuf => empty(),
        Format::Json => full("{}"),
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, content_type(format));
    response
}

fn reject_unsupported(
    intake: &Intake,
    signal: Signal,
    format: Format,
    message: &str,
) -> Response<Body> {
    let status = Status::new(Code::Unimplemented, message);
    intake.count_refusal(signal, &status);
    reject(StatusCode::UNSUPPORTED_MEDIA_TYPE, format, &status)
}

fn reject(code: StatusCode, format: Format, status: &Status) -> Response<Body> {
    let body = match format {
        Format::Protobuf => full(status.to_protobuf()),
        Format::Json => full(status.to_json().to_string()),
    };

    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, content_type(format));

    if let Some(after) = status.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }

    response
}

fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Protobuf => "application/x-protobuf",
        Format::Json => "application/json",
    })
}
