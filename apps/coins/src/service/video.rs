//! Gets a picture of a video from the thumbnail service, streaming the video through.

use bytes::Bytes;
use chassis::http::{Body, Upstream, read_limited};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};

use super::query::Query;
use super::rejection::Rejection;

/// The picture, whole, of at most `limit` bytes.
pub(super) async fn picture(
    upstream: &Upstream,
    request: Request<Body>,
    query: &Query,
    limit: usize,
) -> Result<Bytes, Rejection> {
    let at = query.at.as_deref().unwrap_or(MIDDLE);
    let (head, body) = request.into_parts();
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = Method::POST;
    *outgoing.uri_mut() = format!("/v1/thumbnail?at={at}&width={WIDTH}&format=jpeg")
        .parse()
        .map_err(|_| Rejection::BadQuery("`at` cannot be passed on".to_owned()))?;

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
        return read_limited(answer.into_body(), limit)
            .await
            .map_err(|error| {
                Rejection::ThumbnailRejected(StatusCode::BAD_GATEWAY, error.to_string())
            });
    }

    let text = read_limited(answer.into_body(), MAX_ERROR_BYTES)
        .await
        .unwrap_or_default();
    Err(Rejection::ThumbnailRejected(status, reason(&text)))
}

/// The message of a JSON problem, or the text as it is.
fn reason(text: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(text)
        .ok()
        .and_then(|value| Some(value["error"]["message"].as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(text).trim().to_owned())
}

/// Half way through, percent-encoded: the first pictures of many films are black.
const MIDDLE: &str = "50%25";
const WIDTH: u32 = 1600;
const MAX_ERROR_BYTES: usize = 4096;
