//! Gets a picture from a video: streams the video to the thumbnail service.

use chassis::http::{Body, Upstream, read_limited};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};

use super::query::Query;
use super::rejection::Rejection;

/// Returns the body of the response, which is the picture.
pub(super) async fn picture(
    upstream: &Upstream,
    request: Request<Body>,
    query: &Query,
) -> Result<Body, Rejection> {
    let at = query.at.as_deref().unwrap_or(MIDDLE);
    let (head, body) = request.into_parts();
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = Method::POST;
    *outgoing.uri_mut() = format!("/v1/thumbnail?at={at}&width={WIDTH}&format=jpeg")
        .parse()
        .map_err(|_| Rejection::BadQuery("`at` is not valid in a URL".to_owned()))?;

    // No other header is forwarded: credentials are not for the thumbnail service.
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        if let Some(value) = head.headers.get(&name) {
            outgoing.headers_mut().insert(name, value.clone());
        }
    }

    outgoing
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("image/jpeg"));

    let answer = upstream
        .send(outgoing)
        .await
        .map_err(Rejection::Thumbnail)?;
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer.into_body());
    }

    let text = read_limited(answer.into_body(), MAX_ERROR_BYTES)
        .await
        .unwrap_or_default();
    Err(Rejection::ThumbnailRejected(status, reason(&text)))
}

/// Returns the message of a JSON error, or the text itself.
fn reason(text: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(text)
        .ok()
        .and_then(|value| Some(value["error"]["message"].as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(text).trim().to_owned())
}

/// The middle, percent-encoded: the first frames of many videos are black.
const MIDDLE: &str = "50%25";
const WIDTH: u32 = 1600;
const MAX_ERROR_BYTES: usize = 4096;
