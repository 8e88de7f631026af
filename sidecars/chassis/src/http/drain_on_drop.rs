//! The rest of a request's body that nobody wants any more.
//!
//! A client that is still sending when it is refused reads the answer only if its bytes are taken:
//! otherwise HTTP/1 resets the connection (RFC 9112 section 9.6) and HTTP/2 the stream, which curl and
//! others take for a failure, and a proxy for a broken upstream.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

/// A request's body that is read out in the background when it is dropped before its end.
pub(super) struct DrainOnDrop {
    body: Option<Incoming>,
    /// The client sends nothing before we begin to read: then there is nothing to take.
    awaited: bool,
}

impl DrainOnDrop {
    pub(super) fn new(body: Incoming, headers: &HeaderMap) -> Self {
        Self {
            body: Some(body),
            awaited: headers.contains_key(EXPECT),
        }
    }
}

impl Body for DrainOnDrop {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaited = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), false, Ok(runtime)) = (body, self.awaited, Handle::try_current()) {
            runtime.spawn(timeout(MAX_DRAIN_TIME, drain_body(body)));
        }
    }
}

/// Ends with the body, with the connection, or when there is too much of it.
async fn drain_body(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(bytes);
        if left == 0 {
            return;
        }
    }
}

/// A client that goes on for longer, or with more, has to live with a reset.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(30);
const MOST: usize = 128 * 1024 * 1024;
