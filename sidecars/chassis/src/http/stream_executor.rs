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
    thread::{self, ThreadId},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{activity::Activity, request_slots::RequestSlot, upgrade::Tunnel};

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
    next: Arc<Mutex<Option<(ThreadId, StreamProgress)>>>,
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
    /// hyper calls the service and spawns the stream's future right after, in one poll. A tunnel's future is
    /// spawned by its stream, maybe at the same time on another thread, which is why the thread counts too.
    pub(super) fn prepare(&self) -> StreamProgress {
        let progress = StreamProgress::new(self.activity.clone());
        let next = (thread::current().id(), progress.clone());
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        progress
    }

    /// Spawns a future that ends when its stream stalls.
    pub(super) fn spawn<F>(&self, progress: StreamProgress, stream: F)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
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

    /// Spawns a tunnel, which counts as the request that asked for it until it ends.
    pub(super) fn spawn_tunnel(
        &self,
        progress: StreamProgress,
        tunnel: Tunnel,
        request: Option<RequestSlot>,
    ) {
        let in_flight = self.activity.begin();
        // The client has its response, so the end of the tunnel is not a request it gave up.
        in_flight.finish();
        // The connection's end ends the tunnel too, since the streams of HTTP/2 break.
        self.spawn(progress, async move {
            let _held = (in_flight, request);
            tunnel.await;
        });
    }

    /// Returns the progress of the future that is spawned now, if it is that of a stream.
    fn take_next(&self) -> Option<StreamProgress> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = |next: &mut (ThreadId, StreamProgress)| next.0 == thread::current().id();
        next.take_if(is_own).map(|(_, progress)| progress)
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        match self.take_next() {
            Some(progress) => self.spawn(progress, stream),
            None => {
                tokio::spawn(stream);
            }
        }
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
