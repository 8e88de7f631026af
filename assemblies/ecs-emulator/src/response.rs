//! Responses: JSON for the JSON protocols, XML for STS.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::api_error::ApiError;
use crate::sts;

/// The protocol of a request, which its response has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `application/x-amz-json-1.1`: ECS and Application Auto Scaling.
    Json,
    /// The query protocol, with responses in XML: STS.
    Query,
}

/// The result of an operation.
#[derive(Debug)]
pub(crate) enum Output {
    Json(Value),
    Xml(String),
}

/// Creates the response to a call.
pub(crate) fn to_response(
    result: Result<Output, ApiError>,
    protocol: Protocol,
    request_id: &str,
) -> Response<Full<Bytes>> {
    let (status, code, text, content_type) = match (result, protocol) {
        (Ok(Output::Json(body)), _) => (200, None, body.to_string(), JSON),
        (Ok(Output::Xml(text)), _) => (200, None, text, XML),
        (Err(error), Protocol::Json) => (
            error.status,
            Some(error.code),
            error.to_json().to_string(),
            JSON,
        ),
        (Err(error), Protocol::Query) => (
            error.status,
            None,
            sts::error_document(&error, request_id),
            XML,
        ),
    };

    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    // SDKs read the code from this header first, then from `__type`.
    if let Some(code) = code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    response
}

/// Creates the response to a request that is not one of an AWS client.
pub(crate) fn refuse(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{why}\n"))));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

const JSON: &str = "application/x-amz-json-1.1";
const XML: &str = "text/xml";
