//! What a connection is doing, and until when it may.
//!
//! hyper's own header timer also runs between requests and its h2 side has none, so the waits of a
//! connection are limited here, from what passes on the wire and through the service.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Limits, Protocol};

/// Shared by the wire, the service and the task of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    requests: u64,
    in_flight: usize,
    /// When the last request ended, or the connection began.
    quiet_since: Instant,
    /// When the first byte after that arrived.
    arriving_since: Option<Instant>,
    /// When a byte last passed in either direction.
    progress: Instant,
}

/// A request in flight; ends when dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Activity);

/// The limit a connection has run into.
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
            quiet_since: now,
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

    /// The same activity with its clock started again, once the transport is open.
    pub(crate) fn restart_clock(&self) -> Self {
        self.state().quiet_since = Instant::now();
        self.clone()
    }

    /// Whether no request has been in flight for this long.
    pub(crate) fn quiet_for(&self, length: Duration) -> bool {
        let state = self.state();
        state.in_flight == 0 && state.quiet_since.elapsed() >= length
    }

    /// Waits until the connection has run into one of its limits.
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
            // A deadline may move closer while we sleep, when a request ends or begins to arrive.
            tokio::time::sleep_until(deadline.min(now + tick(limits))).await;
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
                state.quiet_since + limits.first_byte_timeout.duration(),
                TimeoutKind::FirstByte,
            ),
            // On h2 bytes between requests may be pings; only the first request must hurry.
            Some(since) if state.requests == 0 || protocol == Protocol::Http1 => (
                since + limits.header_timeout.duration(),
                TimeoutKind::Header,
            ),
            _ => (
                state.quiet_since + limits.idle_timeout.duration(),
                TimeoutKind::Idle,
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a panicking holder leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.quiet_since = Instant::now();
            state.arriving_since = None;
        }
    }
}

fn tick(limits: &Limits) -> Duration {
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

    async fn expires(activity: &Activity, protocol: Protocol) -> (TimeoutKind, u64) {
        let start = Instant::now();
        let expired = activity.wait_for_timeout(protocol, &limits()).await;
        (expired, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_has_the_first_byte_limit() {
        assert_eq!(
            expires(&Activity::new(), Protocol::Http1).await,
            (TimeoutKind::FirstByte, 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_has_the_header_limit() {
        let activity = Activity::new();
        activity.bytes_read();
        assert_eq!(
            expires(&activity, Protocol::Http2).await,
            (TimeoutKind::Header, 2)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_between_requests_has_the_idle_limit() {
        let activity = Activity::new();
        drop(activity.begin());
        assert_eq!(
            expires(&activity, Protocol::Http1).await,
            (TimeoutKind::Idle, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pings_between_requests_do_not_count_as_a_head() {
        let activity = Activity::new();
        drop(activity.begin());
        activity.bytes_read();
        assert_eq!(
            expires(&activity, Protocol::Http2).await,
            (TimeoutKind::Idle, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_progress_has_the_stall_limit() {
        let activity = Activity::new();
        let _request = activity.begin();
        assert_eq!(
            expires(&activity, Protocol::Http1).await,
            (TimeoutKind::Stall, 8)
        );
    }
}
