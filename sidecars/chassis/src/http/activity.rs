//! The activity of a connection, and the timeouts that follow from it.
//!
//! hyper's HTTP/1 header timer also runs between requests, and its HTTP/2 server has none, so the
//! timeouts are applied here, from the bytes on the wire and the requests in the service.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Limits, Protocol};

/// The activity of one connection, shared by its stream, its service and its task.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    requests: u64,
    in_flight: usize,
    /// When the last request ended or the connection was opened.
    idle_since: Instant,
    /// When the first byte after that arrived.
    arriving_since: Option<Instant>,
    /// When a byte was last read or written.
    progress: Instant,
}

/// Counts a request as in flight until dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Activity);

/// The timeout that a connection exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeoutKind {
    FirstByte,
    Header,
    Idle,
    Stall,
}

impl Activity {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            requests: 0,
            in_flight: 0,
            idle_since: now,
            arriving_since: None,
            progress: now,
        })))
    }

    pub(crate) fn begin(&self) -> InFlightGuard {
        let mut state = self.state();
        state.requests += 1;
        state.in_flight += 1;
        InFlightGuard(self.clone())
    }

    pub(crate) fn bytes_read(&self) {
        let mut state = self.state();
        let now = Instant::now();
        state.progress = now;
        if state.in_flight == 0 {
            state.arriving_since.get_or_insert(now);
        }
    }

    pub(crate) fn bytes_written(&self) {
        self.state().progress = Instant::now();
    }

    /// Restarts the clock, once the transport is open, and returns a handle to the same activity.
    pub(crate) fn restart_clock(&self) -> Self {
        self.state().idle_since = Instant::now();
        self.clone()
    }

    /// Returns whether no request has been in flight for this long.
    pub(crate) fn idle_for(&self, length: Duration) -> bool {
        let state = self.state();
        state.in_flight == 0 && state.idle_since.elapsed() >= length
    }

    /// Waits until the connection exceeds one of its timeouts.
    pub(crate) async fn wait_for_timeout(
        &self,
        protocol: Protocol,
        limits: &Limits,
    ) -> TimeoutKind {
        loop {
            let (deadline, limit) = self.deadline(protocol, limits);
            let now = Instant::now();
            if deadline <= now {
                return limit;
            }
            // A deadline may move closer meanwhile, when a request ends or begins to arrive.
            tokio::time::sleep_until(deadline.min(now + poll_interval(limits))).await;
        }
    }

    fn deadline(&self, protocol: Protocol, limits: &Limits) -> (Instant, TimeoutKind) {
        let state = self.state();
        if state.in_flight > 0 {
            return (
                state.progress + limits.stall_timeout.duration(),
                TimeoutKind::Stall,
            );
        }

        match state.arriving_since {
            None if state.requests == 0 => (
                state.idle_since + limits.first_byte_timeout.duration(),
                TimeoutKind::FirstByte,
            ),
            // On HTTP/2, bytes between requests may be pings, so the header timeout covers only the first request.
            Some(since) if state.requests == 0 || protocol == Protocol::Http1 => (
                since + limits.header_timeout.duration(),
                TimeoutKind::Header,
            ),
            _ => (
                state.idle_since + limits.idle_timeout.duration(),
                TimeoutKind::Idle,
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement leaves the state consistent, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            // The next byte begins a new request's header section.
            state.idle_since = Instant::now();
            state.arriving_since = None;
        }
    }
}

/// Returns how often a waiting connection looks at its deadline again.
fn poll_interval(limits: &Limits) -> Duration {
    let shortest = limits.header_timeout.min(limits.idle_timeout).duration();
    (shortest / 4).max(Duration::from_millis(5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HumanDuration;

    fn limits() -> Limits {
        Limits {
            first_byte_timeout: HumanDuration::from_secs(1),
            header_timeout: HumanDuration::from_secs(2),
            idle_timeout: HumanDuration::from_secs(4),
            stall_timeout: HumanDuration::from_secs(8),
            ..Limits::default()
        }
    }

    /// Returns the exceeded timeout and after how many seconds, with tokio's paused clock.
    async fn timeout_of(activity: &Activity, protocol: Protocol) -> (TimeoutKind, u64) {
        let start = Instant::now();
        let expired = activity.wait_for_timeout(protocol, &limits()).await;
        (expired, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_exceeds_the_first_byte_timeout() {
        assert_eq!(
            timeout_of(&Activity::new(), Protocol::Http1).await,
            (TimeoutKind::FirstByte, 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_unfinished_header_section_exceeds_the_header_timeout() {
        let activity = Activity::new();
        // The first byte of a request that does not continue.
        activity.bytes_read();
        assert_eq!(
            timeout_of(&activity, Protocol::Http2).await,
            (TimeoutKind::Header, 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_between_requests_exceeds_the_idle_timeout() {
        let activity = Activity::new();
        // One complete request, so the connection is between requests.
        drop(activity.begin());
        assert_eq!(
            timeout_of(&activity, Protocol::Http1).await,
            (TimeoutKind::Idle, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pings_between_requests_do_not_start_the_header_timeout() {
        let activity = Activity::new();
        drop(activity.begin());
        activity.bytes_read();
        assert_eq!(
            timeout_of(&activity, Protocol::Http2).await,
            (TimeoutKind::Idle, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_progress_exceeds_the_stall_timeout() {
        let activity = Activity::new();
        // In flight, and no byte is read or written.
        let _request = activity.begin();
        assert_eq!(
            timeout_of(&activity, Protocol::Http1).await,
            (TimeoutKind::Stall, 8)
        );
    }
}
