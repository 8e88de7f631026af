//! The activity of a connection, and the timeouts that follow from it.
//!
//! hyper's HTTP/1 header timer also runs between requests, and its HTTP/2 server has none, so the
//! timeouts are applied here, from the bytes on the wire and the requests in the service.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{Limits, Protocol};

/// The activity of one connection, shared by its stream, its service and its task.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    opened: Instant,
    /// Milliseconds from `opened` to when a part of a message was last passed on.
    message_progress: AtomicU64,
    /// Wakes the connection's task when `State::close` is set.
    close: Notify,
}

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
    /// A stream was reset because its client does not read, and no request was answered since.
    stalled: bool,
    /// Requests that the client gave up since `aborts_since`, minus those answered.
    aborts: usize,
    aborts_since: Instant,
    close: Option<CloseReason>,
}

/// Counts a request as in flight until dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    activity: Activity,
    is_finished: AtomicBool,
}

/// The reason for which a connection is asked to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// It is idle, and another one needs its place.
    Evicted,
    /// Its client gives up most of its requests.
    Aborts,
}

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
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                requests: 0,
                in_flight: 0,
                idle_since: now,
                arriving_since: None,
                progress: now,
                stalled: false,
                aborts: 0,
                aborts_since: now,
                close: None,
            }),
            opened: now,
            message_progress: AtomicU64::new(0),
            close: Notify::new(),
        }))
    }

    pub(crate) fn begin(&self) -> InFlightGuard {
        let mut state = self.state();
        state.requests += 1;
        state.in_flight += 1;
        drop(state);
        self.message_progressed();
        InFlightGuard {
            activity: self.clone(),
            is_finished: AtomicBool::new(false),
        }
    }

    /// Records that a part of a message was passed on, in contrast to a PING.
    pub(crate) fn message_progressed(&self) {
        let elapsed = self.0.opened.elapsed().as_millis() as u64;
        self.0.message_progress.store(elapsed, Ordering::Relaxed);
    }

    /// Records that a stream was reset because its client does not read.
    pub(crate) fn stream_stalled(&self) {
        self.state().stalled = true;
    }

    /// Returns since when no request has been in flight; `None` with one, or if it is to close anyway.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.in_flight == 0 && state.close.is_none()).then_some(state.idle_since)
    }

    /// Asks the connection to close because its place is needed.
    pub(crate) fn evict(&self) {
        self.close(&mut self.state(), CloseReason::Evicted);
    }

    /// Resolves when the connection is asked to close.
    pub(crate) async fn asked_to_close(&self) -> CloseReason {
        loop {
            // Created before the check, so that a notification in between is not lost.
            let notified = self.0.close.notified();
            if let Some(reason) = self.state().close {
                return reason;
            }
            notified.await;
        }
    }

    /// Returns whether the client gives up so many requests that no more are answered.
    pub(crate) fn has_too_many_aborts(&self) -> bool {
        self.state().close == Some(CloseReason::Aborts)
    }

    fn close(&self, state: &mut State, reason: CloseReason) {
        state.close = Some(reason);
        self.0.close.notify_waiters();
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
            // Bytes on HTTP/2 may be PINGs, with which a client that reads nothing keeps its connection.
            let progress = if protocol == Protocol::Http2 {
                let elapsed = self.0.message_progress.load(Ordering::Relaxed);
                self.0.opened + Duration::from_millis(elapsed)
            } else {
                state.progress
            };
            let deadline = progress + limits.stall_timeout.duration();
            return (deadline, TimeoutKind::Stall);
        }

        match state.arriving_since {
            // PINGs keep such a connection open, so it is not left to its idle timeout.
            _ if state.stalled => (state.idle_since, TimeoutKind::Stall),
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
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlightGuard {
    /// Marks the request as answered; otherwise the client has given it up.
    pub(crate) fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.in_flight -= 1;
        if self.is_finished.load(Ordering::Relaxed) {
            state.stalled = false;
            state.aborts = state.aborts.saturating_sub(1);
        } else {
            if state.aborts_since.elapsed() > ABORTS_WINDOW {
                state.aborts = 0;
                state.aborts_since = Instant::now();
            }
            state.aborts += 1;
            if state.aborts > MAX_ABORTS && state.close.is_none() {
                self.activity.close(&mut state, CloseReason::Aborts);
            }
        }

        if state.in_flight == 0 {
            // The next byte begins a new request's header section.
            state.idle_since = Instant::now();
            state.arriving_since = None;
        }
    }
}

/// The number of requests that a client may give up within [`ABORTS_WINDOW`], besides those answered.
///
/// Each costs a connection to the upstream, and none counts as a concurrent stream ("rapid reset",
/// CVE-2023-44487).
const MAX_ABORTS: usize = 100;
const ABORTS_WINDOW: Duration = Duration::from_secs(10);

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
    async fn a_stalled_stream_closes_its_connection_unless_another_was_answered() {
        let activity = Activity::new();
        drop(activity.begin());
        activity.stream_stalled();
        assert_eq!(
            timeout_of(&activity, Protocol::Http2).await,
            (TimeoutKind::Stall, 0)
        );
        let answered = activity.begin();
        answered.finish();
        drop(answered);
        assert_eq!(
            timeout_of(&activity, Protocol::Http2).await,
            (TimeoutKind::Idle, 4)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn many_aborts_close_the_connection_unless_as_many_are_answered() {
        let activity = Activity::new();
        for _ in 0..2 * MAX_ABORTS {
            let answered = activity.begin();
            answered.finish();
            drop(activity.begin());
            drop(answered);
        }
        assert!(!activity.has_too_many_aborts());
        // Slowly given up ones do not add up.
        for _ in 0..2 * MAX_ABORTS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(activity.begin());
        }
        assert!(!activity.has_too_many_aborts());
        for _ in 0..2 * MAX_ABORTS {
            drop(activity.begin());
        }
        assert_eq!(activity.asked_to_close().await, CloseReason::Aborts);
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
