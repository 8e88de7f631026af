//! Bodies: boxed, ready-made, and read whole up to a limit.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use serde::Serialize;

use crate::BoxError;

/// A boxed streaming body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// The error of reading a whole body.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The body is too large (413).
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The maximum size in bytes.
        limit: usize,
    },
    /// The connection failed or the body is malformed (400).
    #[error("the body could not be read")]
    Io(#[source] BoxError),
}

/// Boxes a body, such as hyper's `Incoming`.
pub fn box_body<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Returns an empty body.
pub fn empty() -> Body {
    box_body(Empty::new())
}

/// Returns a body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    box_body(Full::new(bytes.into()))
}

/// Returns a response with a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => response_with_type(status, "application/json", bytes),
        // Only a value that JSON cannot express, such as a map with non-string keys.
        Err(error) => {
            tracing::error!(%error, "cannot serialize the response as JSON");
            response_with_type(
                StatusCode::INTERNAL_SERVER_ERROR,
                "application/json",
                Bytes::new(),
            )
        }
    }
}

/// Returns an error response: `{"error":{"code":…,"message":…}}`.
pub fn problem(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    json(
        status,
        &serde_json::json!({ "error": { "code": code, "message": message } }),
    )
}

/// Reads a whole body, up to `max_bytes`.
pub fn read_limited<B>(
    body: B,
    max_bytes: usize,
) -> impl Future<Output = Result<Bytes, ReadError>> + Send
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // Boxed outside the future, because the compiler cannot prove that the future of a generic body is
    // `Send` if the body's error is itself a box.
    read_boxed(box_body(body), max_bytes)
}

async fn read_boxed(mut body: Body, limit: usize) -> Result<Bytes, ReadError> {
    // A `Content-Length` over the limit is rejected before any byte is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(ReadError::TooLarge { limit });
    }

    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(ReadError::Io)?.into_data() {
            // Cannot underflow: `read` never exceeds the limit.
            if data.len() > limit - read.len() {
                return Err(ReadError::TooLarge { limit });
            }
            read.extend_from_slice(&data);
        }
    }

    Ok(read.freeze())
}

fn response_with_type(
    status: StatusCode,
    content_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::Frame;

    use super::*;

    #[tokio::test]
    async fn reads_a_body_up_to_the_limit() {
        assert_eq!(read_limited(full("12345"), 5).await.unwrap(), "12345");
    }

    #[tokio::test]
    async fn rejects_a_longer_body_with_and_without_a_known_size() {
        let sized = read_limited(full("123456"), 5).await;
        assert!(matches!(sized, Err(ReadError::TooLarge { limit: 5 })));
        let unsized_ = read_limited(Parts(vec!["456", "123"]), 5).await;
        // `3 + 3` bytes: neither part exceeds the limit alone.
        assert!(matches!(unsized_, Err(ReadError::TooLarge { limit: 5 })));
    }

    #[tokio::test]
    async fn an_error_response_is_json_with_a_code() {
        let response = problem(StatusCode::NOT_FOUND, "no_such_path", "nothing here");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let bytes = read_limited(response.into_body(), 1024).await.unwrap();
        assert_eq!(
            bytes,
            r#"{"error":{"code":"no_such_path","message":"nothing here"}}"#
        );
    }

    /// A body of parts, last first, without a size hint.
    struct Parts(Vec<&'static str>);

    impl http_body::Body for Parts {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop().map(|part| Ok(Frame::data(part.into()))))
        }
    }
}
