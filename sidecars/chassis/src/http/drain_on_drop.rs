//! Draining of request bodies that are dropped before their end.
//!
//! A client that is still sending when its request is rejected can read the response only if its
//! bytes are consumed: otherwise HTTP/1 resets the connection (RFC 9112 section 9.6) and HTTP/2 the
//! stream, which curl reports as a failure and a proxy as a broken upstream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

use super::stream_executor::StreamProgress;

/// A request body that is drained in the background if it is dropped before its end.
pub(super) struct DrainOnDrop {
    body: Option<Incoming>,
    /// The client waits for `100 Continue`, which is sent on the first read; until then there is nothing to drain.
    expects_continue: bool,
    /// The stream of an HTTP/2 request.
    progress: Option<StreamProgress>,
}

impl DrainOnDrop {
    pub(super) fn new(
        body: Incoming,
        headers: &HeaderMap,
        progress: Option<StreamProgress>,
    ) -> Self {
        Self {
            body: Some(body),
            expects_continue: headers.contains_key(EXPECT),
            progress,
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
        // The first read made hyper send `100 Continue`.
        self.expects_continue = false;
        let frame = match &mut self.body {
            Some(body) => ready!(Pin::new(body).poll_frame(cx)),
            None => None,
        };
        if let Some(progress) = &self.progress {
            progress.record();
        }
        Poll::Ready(frame)
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
        // Outside a runtime, such as while it shuts down, nothing can be spawned.
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let (Some(body), false, Ok(runtime)) =
            (body, self.expects_continue, Handle::try_current())
        {
            runtime.spawn(timeout(MAX_DRAIN_TIME, drain_body(body)));
        }
    }
}

/// Reads and discards the body until its end, an error, or [`MAX_DRAIN_BYTES`].
async fn drain_body(mut body: Incoming) {
    let mut left = MAX_DRAIN_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        left = left.saturating_sub(bytes);
        if left == 0 {
            return;
        }
    }
}

/// A client that sends for longer, or more than `MAX_DRAIN_BYTES`, gets a reset.
const MAX_DRAIN_TIME: Duration = Duration::from_secs(30);
const MAX_DRAIN_BYTES: usize = 128 * 1024 * 1024;
