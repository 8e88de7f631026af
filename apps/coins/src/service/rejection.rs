//! Reasons for which a request gets no count, and their responses.

use chassis::http::{Body, ReceiveError, UpstreamError, problem};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::Error;
use crate::photo::ACCEPTED;

/// Why a request is rejected.
#[derive(Debug)]
pub(super) enum Rejection {
    UnknownPath,
    MethodNotAllowed,
    BadQuery(String),
    Unsupported(String),
    NoVideos,
    Busy,
    Body(ReceiveError),
    Photo(Error),
    /// The thumbnail service did not respond.
    Thumbnail(UpstreamError),
    /// The thumbnail service responded with an error.
    ThumbnailRejected(StatusCode, String),
    Internal,
}

impl From<ReceiveError> for Rejection {
    fn from(error: ReceiveError) -> Self {
        Self::Body(error)
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Photo(error)
    }
}

impl Rejection {
    /// Returns the rejection for a picture of the thumbnail service that cannot be received.
    pub(super) fn from_thumbnail(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Busy => Self::Body(error),
            error => Self::ThumbnailRejected(StatusCode::BAD_GATEWAY, error.to_string()),
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        tracing::debug!(rejection = ?self, "request rejected");
        match self {
            Self::UnknownPath => {
                let message = "unknown path; POST a photo to /v1/coins";
                problem(StatusCode::NOT_FOUND, "no_such_path", message)
            }
            Self::MethodNotAllowed => {
                let message = "use POST to send a photo";
                problem(StatusCode::METHOD_NOT_ALLOWED, "only_post", message)
            }
            Self::BadQuery(message) => problem(StatusCode::BAD_REQUEST, "bad_query", &message),
            Self::Unsupported(found) => unsupported_media_type(&Error::Unsupported { found }),
            Self::NoVideos => {
                let message = "videos need a thumbnail service, and none is configured; \
                               send a photo or set `thumbnail`";
                problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_videos", message)
            }
            Self::Busy => {
                let message = "all workers are busy and the queue is full; try again soon";
                with_retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, "busy", message))
            }
            Self::Body(error) => error.response(),
            Self::Photo(error) => photo(&error),
            Self::Thumbnail(error) => error.response(),
            Self::ThumbnailRejected(status, message) => thumbnail_error(status, &message),
            Self::Internal => {
                let message = "the photo could not be counted";
                problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            }
        }
    }
}

fn photo(error: &Error) -> Response<Body> {
    let (status, code) = match error {
        Error::NotAnImage => (StatusCode::UNPROCESSABLE_ENTITY, "not_an_image"),
        Error::Truncated => (StatusCode::UNPROCESSABLE_ENTITY, "truncated_image"),
        Error::Damaged { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "damaged_image"),
        Error::TooLarge { .. } | Error::NeedsMemory { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "image_too_large")
        }
        Error::Unsupported { .. } => return unsupported_media_type(error),
        // Only `serve` returns it, before there is a request.
        Error::Settings(_) => return Rejection::Internal.response(),
    };
    problem(status, code, &error.to_string())
}

/// Returns 415 with the supported media types, in the message and in `accepted` for programs.
fn unsupported_media_type(error: &Error) -> Response<Body> {
    let body = serde_json::json!({ "error": {
        "code": "unsupported_media_type",
        "message": error.to_string(),
        "accepted": ACCEPTED,
    }});
    chassis::http::json(StatusCode::UNSUPPORTED_MEDIA_TYPE, &body)
}

/// Maps a response of the thumbnail service: errors of the video are passed on, errors of the
/// service become 502, and a busy service becomes 503.
fn thumbnail_error(status: StatusCode, message: &str) -> Response<Body> {
    let text = format!("the thumbnail service responded with {status}: {message}");
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => with_retry_after(
            problem(StatusCode::SERVICE_UNAVAILABLE, "thumbnail_busy", &text),
        ),
        StatusCode::GATEWAY_TIMEOUT => problem(status, "thumbnail_timeout", &text),
        // These mean that the setting `thumbnail` is wrong, not the video.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED => {
            problem(StatusCode::BAD_GATEWAY, "thumbnail_failed", &text)
        }
        status if status.is_client_error() => problem(status, "video_refused", &text),
        _ => problem(StatusCode::BAD_GATEWAY, "thumbnail_failed", &text),
    }
}

fn with_retry_after(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
