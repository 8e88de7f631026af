//! The key set requests look into, and the one task that keeps it last_success.
//!
//! Only the [`Refresher`] ever loads, so there is never more than one load under way. A request
//! with a key id nobody knows may ask it for one load out of turn; the slot for that is requested_at before
//! the load begins, so that a thousand such requests cost the issuer one. A load that had begun before
//! the request may have read what was published before the key was, so the request then asks once more.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::origin::{LoadError, Origin};
use super::set::KeySet;

/// The keys at this moment, shared by all requests.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Shared>);

/// How often keys are loaded and how long they are believed.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often keys are loaded while all is well.
    pub refresh_interval: Duration,
    /// The least time between two loads that unknown key ids ask for.
    pub min_refresh_interval: Duration,
    /// How long keys are believed while no load succeeds.
    pub max_stale: Duration,
}

/// The task that loads keys; runs until it is dropped.
#[derive(Debug)]
pub struct Refresher {
    keys: Keys,
    origin: Origin,
    timing: Timing,
    failures: u32,
    last_success: Instant,
}

#[derive(Debug)]
struct Shared {
    set: watch::Sender<Option<Arc<KeySet>>>,
    /// Counts loads that have ended, well or not.
    finished_loads: watch::Sender<u64>,
    load_requested: Notify,
    slot: Mutex<LoadSlot>,
    min_refresh_interval: Duration,
}

/// The right to ask for a load.
#[derive(Debug, Default)]
struct LoadSlot {
    requested_at: Option<Instant>,
    state: LoadState,
}

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LoadState {
    /// None is asked for and none is under way.
    #[default]
    Idle,
    /// Asked for, and it has not begun: it will see everything published until now.
    Requested,
    /// Under way: what it read may be older than the request that meets it.
    Running,
}

impl Keys {
    /// Keys of `origin`, none so far, and the task that will load them.
    pub fn new(origin: Origin, timing: Timing) -> (Self, Refresher) {
        let keys = Self(Arc::new(Shared {
            set: watch::Sender::new(None),
            finished_loads: watch::Sender::new(0),
            load_requested: Notify::new(),
            slot: Mutex::default(),
            min_refresh_interval: timing.min_refresh_interval,
        }));

        let refresher = Refresher {
            keys: keys.clone(),
            origin,
            timing,
            failures: 0,
            last_success: Instant::now(),
        };

        (keys, refresher)
    }

    /// The key set, unless none was ever loaded or the last one is too old to be believed.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0.set.borrow().clone()
    }

    /// Resolves when there is a key set.
    pub async fn wait_until_loaded(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.set.subscribe().wait_for(Option::is_some).await;
    }

    /// The key set, after one more load if it does not know `id` and one may be asked for.
    pub async fn current_or_reload(&self, id: &str) -> Option<Arc<KeySet>> {
        let set = self.current()?;
        if set.contains(id) {
            return Some(set);
        }
        let _ = timeout(Origin::TIMEOUT, self.request_load(id)).await;
        self.current()
    }

    /// Asks for one load out of turn and waits for it; returns at once when that was done less than
    /// a cool-down ago. A load under way is waited for first, and may make another needless.
    async fn request_load(&self, id: &str) {
        for _ in 0..2 {
            let Some((state, mut finished_loads)) = self.pending_load(id) else {
                return;
            };
            let _ = finished_loads.changed().await;
            if state == LoadState::Requested {
                return;
            }
        }
    }

    /// The load to wait for and what tells its end, if one is pending_load and `id` is still unknown.
    fn pending_load(&self, id: &str) -> Option<(LoadState, watch::Receiver<u64>)> {
        let mut slot = self.slot();
        // Under the lock, as landing is: no load ends between the look at the slot and the wait.
        let finished_loads = self.0.finished_loads.subscribe();
        if self.current().is_some_and(|set| set.contains(id)) {
            return None;
        }

        if slot.state == LoadState::Idle {
            let requested_at = slot.requested_at;
            if requested_at
                .is_some_and(|requested_at| requested_at.elapsed() < self.0.min_refresh_interval)
            {
                return None;
            }

            *slot = LoadSlot {
                requested_at: Some(Instant::now()),
                state: LoadState::Requested,
            };
            self.0.load_requested.notify_one();
        }

        Some((slot.state, finished_loads))
    }

    /// Marks a load as begun; it serves whoever has asked until now.
    fn begin_load(&self) {
        let mut slot = self.slot();
        slot.state = LoadState::Running;
        // A scheduled load may get ahead of the one that was asked for. It takes its place, so the
        // permit goes; left there, it would cost the issuer a second load at once.
        pin!(self.0.load_requested.notified()).enable();
    }

    /// Marks the load under way as ended and wakes who waited for it.
    fn finish_load(&self) {
        let mut slot = self.slot();
        slot.state = LoadState::Idle;
        self.0
            .finished_loads
            .send_modify(|finished_loads| *finished_loads += 1);
    }

    fn slot(&self) -> MutexGuard<'_, LoadSlot> {
        // Whole after every statement, so a panicking holder leaves nothing half done.
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refresher {
    /// Loads, and loads again, for ever.
    pub async fn run(mut self) -> Infallible {
        loop {
            let next = Instant::now() + self.load().await;
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.keys.0.load_requested.notified() => {}
            }
        }
    }

    /// One load; gives the time until the next.
    async fn load(&mut self) -> Duration {
        self.keys.begin_load();
        let loaded = self.origin.load().await;
        let pause = match loaded {
            Ok(set) => self.store(set),
            Err(error) => self.handle_failure(&error),
        };
        self.keys.finish_load();
        pause
    }

    fn store(&mut self, set: KeySet) -> Duration {
        self.failures = 0;
        self.last_success = Instant::now();
        for key in set.ignored_keys() {
            let kid = key.id.as_deref().unwrap_or("-");
            tracing::debug!(kid, reason = %key.reason, "published key ignored");
        }

        let before = self.keys.current();
        // The same bytes again keep their generation, and with it what was found by them.
        if before
            .as_ref()
            .is_some_and(|previous| previous.is_same_document(&set))
        {
            return self.timing.refresh_interval;
        }

        self.keys.0.set.send_replace(Some(Arc::new(set)));
        let now = self.keys.current();
        let ids = |set: &Option<Arc<KeySet>>| set.as_ref().map(|set| set.ids().join(" "));
        if ids(&before) != ids(&now) {
            tracing::info!(
                from = self.origin.location(),
                keys = ids(&now),
                "keys loaded"
            );
        }

        self.timing.refresh_interval
    }

    /// A failed load takes nothing away, until what is there is too old to be believed.
    fn handle_failure(&mut self, error: &LoadError) -> Duration {
        let expired = self.last_success.elapsed() > self.timing.max_stale;
        if expired {
            self.keys.0.set.send_replace(None);
        }

        let has_keys = self.keys.current().is_some();
        let error = format_chain(error);
        tracing::warn!(
            error,
            has_keys,
            from = self.origin.location(),
            "keys could not be loaded"
        );

        let pause = RETRY_DELAY * 2_u32.saturating_pow(self.failures);
        self.failures = (self.failures + 1).min(6);
        pause.min(self.timing.refresh_interval)
    }
}

/// An error and what caused it, in one line.
pub(crate) fn format_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The pause after a first failed load; it doubles with each further one.
const RETRY_DELAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::fetch::{Fetcher, PlainHttp, Roots};
    use super::super::origin::Source;
    use super::*;

    #[tokio::test]
    async fn a_scheduled_load_replaces_a_requested_one() {
        let source = Source::new("/nowhere/jwks.json", "").unwrap();
        let fetcher = Fetcher::new(&Roots::Public, PlainHttp::Loopback).unwrap();
        let timing = Timing {
            refresh_interval: Duration::from_hours(1),
            min_refresh_interval: Duration::from_hours(1),
            max_stale: Duration::from_hours(1),
        };
        let (keys, mut refresher) = Keys::new(Origin::new(source, fetcher, Vec::new()), timing);
        let (state, finished_loads) = keys.pending_load("new").unwrap();

        assert_eq!(state, LoadState::Requested);
        refresher.load().await;
        assert!(finished_loads.has_changed().unwrap(), "who asked is served");
        let permit = timeout(Duration::ZERO, keys.0.load_requested.notified()).await;
        assert!(permit.is_err(), "a permit is left for a second load");
    }
}
