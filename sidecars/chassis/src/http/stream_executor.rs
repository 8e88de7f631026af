//! Runs the streams of an HTTP/2 connection, and resets one that stalls.
//!
//! hyper waits without a limit for a client that does not open its flow-control window, and PINGs keep
//! the connection alive meanwhile. So each stream has its own clock: the future of a stream that made no
//! progress is dropped, and h2 then resets the stream (RFC 9113 section 5.4.2).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::activity::Activity;

/// The progress of one stream: when a part of its request or response was last passed on.
#[derive(Debug, Clone)]
pub(super) struct StreamProgress(Arc<State>);

#[derive(Debug)]
struct State {
    begun: Instant,
    /// Milliseconds since `begun`.
    progress: AtomicU64,
    activity: Activity,
}

impl StreamProgress {
    pub(super) fn new(activity: Activity) -> Self {
        Self(Arc::new(State {
            begun: Instant::now(),
            progress: AtomicU64::new(0),
            activity,
        }))
    }

    /// Records that a part of a message was passed on.
    pub(super) fn record(&self) {
        let elapsed = self.0.begun.elapsed().as_millis() as u64;
        self.0.progress.store(elapsed, Ordering::Relaxed);
        self.0.activity.message_progressed();
    }

    /// Returns when progress was last recorded.
    pub(super) fn last(&self) -> Instant {
        self.0.begun + Duration::from_millis(self.0.progress.load(Ordering::Relaxed))
    }

    /// Resolves when nothing was recorded for `limit`.
    pub(super) async fn wait_until_stalled(&self, limit: Duration) {
        loop {
            let deadline = self.last() + limit;
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

/// The executor of one connection's streams.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor {
    next: Arc<Mutex<Option<StreamProgress>>>,
    activity: Activity,
    stall_timeout: Duration,
}

impl StreamExecutor {
    pub(super) fn new(activity: Activity, stall_timeout: Duration) -> Self {
        Self {
            next: Arc::default(),
            activity,
            stall_timeout,
        }
    }

    /// Returns the progress of the stream that is spawned next.
    ///
    /// hyper calls the service and spawns the stream's future right after, in one poll.
    pub(super) fn prepare(&self) -> StreamProgress {
        let progress = StreamProgress::new(self.activity.clone());
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress.clone());
        progress
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(progress) = next else {
            tokio::spawn(stream);
            return;
        };

        let (activity, limit) = (self.activity.clone(), self.stall_timeout);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = stream => {}
                () = progress.wait_until_stalled(limit) => {
                    tracing::debug!("no progress within `limits.stall_timeout`, resetting the stream");
                    activity.stream_stalled();
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stalls_only_without_progress() {
        let progress = StreamProgress::new(Activity::new());
        let limit = Duration::from_secs(10);
        let working = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(8)).await;
                progress.record();
            }
        };
        let start = Instant::now();
        tokio::join!(working, progress.wait_until_stalled(limit));
        assert_eq!(start.elapsed().as_secs(), 50);
    }
}
