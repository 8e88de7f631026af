//! The body of a request to the next hop, and the time that the next hop has for its response.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::Body;
use crate::BoxError;

/// The progress of a request body.
#[derive(Debug, Clone)]
pub(super) struct Upload(Arc<State>);

#[derive(Debug)]
struct State {
    begun: Instant,
    /// Milliseconds from `begun` to the last part of the body.
    last_part: AtomicU64,
    has_failed: AtomicBool,
}

impl Upload {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            begun: Instant::now(),
            last_part: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
        }))
    }

    /// Returns whether the body could not be read from the client.
    pub(super) fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::Relaxed)
    }

    /// Runs `sending` until nothing has been sent for `limit`.
    ///
    /// A next hop may read a whole upload before it answers, so each part of the body restarts the clock.
    pub(super) async fn timeout<F: Future>(
        &self,
        limit: Duration,
        sending: F,
    ) -> Option<F::Output> {
        let mut sending = pin!(sending);
        loop {
            let deadline = self.last_part() + limit;
            match timeout_at(deadline, sending.as_mut()).await {
                Ok(sent) => return Some(sent),
                Err(_) if self.last_part() + limit > Instant::now() => {}
                Err(_) => return None,
            }
        }
    }

    fn last_part(&self) -> Instant {
        self.0.begun + Duration::from_millis(self.0.last_part.load(Ordering::Relaxed))
    }

    fn record(&self) {
        let elapsed = self.0.begun.elapsed().as_millis() as u64;
        self.0.last_part.store(elapsed, Ordering::Relaxed);
    }
}

/// A request body that records its progress.
pub(super) struct RequestBody {
    body: Body,
    upload: Upload,
}

impl RequestBody {
    pub(super) fn new(body: Body, upload: &Upload) -> Self {
        Self {
            body,
            upload: upload.clone(),
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.upload.record();
        if matches!(frame, Some(Err(_))) {
            self.upload.0.has_failed.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
