//! The reasons for which a body is not received, and their responses.

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};

use crate::{
    BoxError,
    http::{Body, problem},
};

/// The reason for which a body is not received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The body is too large (413).
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The maximum size in bytes.
        limit: usize,
    },
    /// The body did not arrive in time (408).
    #[error("the body did not arrive within {0:?}")]
    Timeout(Duration),
    /// The body arrived too slowly (408).
    #[error("the body arrives at less than {bytes_per_second} bytes per second")]
    TooSlow {
        /// The minimum rate.
        bytes_per_second: usize,
    },
    /// There is no memory for the body (503).
    #[error("too many bodies are being received; try again soon")]
    Busy,
    /// The connection failed or the body is malformed (400).
    #[error("the body could not be read")]
    Io(#[source] BoxError),
}

impl ReceiveError {
    /// Returns the response for the client.
    pub fn response(&self) -> Response<Body> {
        let (status, code) = match self {
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Timeout(_) | Self::TooSlow { .. } => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Io(_) => (StatusCode::BAD_REQUEST, "body_broken"),
        };

        let mut response = problem(status, code, &self.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}
