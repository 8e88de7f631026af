//! Every way in which a request gets no count, and what it is told.

use chassis::http::{Body, ReadError, UpstreamError, problem};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use crate::Error;
use crate::photo::ACCEPTED;

/// Why there is no count.
#[derive(Debug)]
pub(super) enum Rejection {
    UnknownPath,
    MethodNotAllowed,
    BadQuery(String),
    Unsupported(String),
    NoVideos,
    Busy,
    TooSlow,
    Body(ReadError),
    Photo(Error),
    /// The thumbnail service did not answer.
    Thumbnail(UpstreamError),
    /// The thumbnail service answered something else than a picture.
    ThumbnailRejected(StatusCode, String),
    Internal,
}

impl From<ReadError> for Rejection {
    fn from(error: ReadError) -> Self {
        Self::Body(error)
    }
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Photo(error)
    }
}

impl Rejection {
    pub(super) fn response(self) -> Response<Body> {
        tracing::debug!(rejection = ?self, "no count");
        match self {
            Self::UnknownPath => {
                let message = "there is nothing here; POST a photo to /v1/coins";
                problem(StatusCode::NOT_FOUND, "no_such_path", message)
            }
            Self::MethodNotAllowed => {
                let message = "a photo is sent with POST";
                problem(StatusCode::METHOD_NOT_ALLOWED, "only_post", message)
            }
            Self::BadQuery(message) => problem(StatusCode::BAD_REQUEST, "bad_query", &message),
            Self::Unsupported(found) => unsupported(&Error::Unsupported { found }),
            Self::NoVideos => {
                let message = "no thumbnail service is set, so videos are not taken; \
                               send a photo or set `thumbnail`";
                problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_videos", message)
            }
            Self::Busy => {
                let message = "all workers are busy and the queue is full; try again soon";
                with_retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, "busy", message))
            }
            Self::TooSlow => {
                let message = "the photo did not arrive in time";
                problem(StatusCode::REQUEST_TIMEOUT, "too_slow", message)
            }
            Self::Body(error @ ReadError::TooLarge { .. }) => problem(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                &error.to_string(),
            ),
            Self::Body(error @ ReadError::Io(_)) => {
                problem(StatusCode::BAD_REQUEST, "body_broken", &error.to_string())
            }
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
        Error::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "image_too_large"),
        Error::Unsupported { .. } => return unsupported(error),
    };
    problem(status, code, &error.to_string())
}

/// 415 with the list of what is read, for people in the message and for programs in `accepted`.
fn unsupported(error: &Error) -> Response<Body> {
    let body = serde_json::json!({ "error": {
        "code": "unsupported_media_type",
        "message": error.to_string(),
        "accepted": ACCEPTED,
    }});
    chassis::http::json(StatusCode::UNSUPPORTED_MEDIA_TYPE, &body)
}

/// What is the video's fault is told as such; what is the service's is a bad gateway, except that
/// a busy service makes us busy.
fn thumbnail_error(status: StatusCode, message: &str) -> Response<Body> {
    let text = format!("the thumbnail service answered {status}: {message}");
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => with_retry_after(
            problem(StatusCode::SERVICE_UNAVAILABLE, "thumbnail_busy", &text),
        ),
        StatusCode::GATEWAY_TIMEOUT => problem(status, "thumbnail_timeout", &text),
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
