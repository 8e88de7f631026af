//! The current key set, and the task that keeps it fresh.
//!
//! Only the [`Refresher`] loads, so there is at most one load at a time. A request with an unknown
//! key id may request one extra load; it reserves the slot before the load begins, so that a
//! thousand such requests cause one load. A load that began before the request may have read a key
//! set from before a rotation, so the request then asks for one more.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::format_chain;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::origin::{LoadError, Origin};
use super::set::KeySet;

/// The current keys, shared by all requests.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Shared>);

/// How often keys are loaded and how long they are used.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time between two successful loads.
    pub refresh_interval: Duration,
    /// Minimum time between two loads requested by unknown key ids.
    pub min_refresh_interval: Duration,
    /// How long keys are used while no load succeeds.
    pub max_stale: Duration,
}

/// The task that loads keys; runs until dropped.
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
    /// Counts finished loads, successful or not.
    finished_loads: watch::Sender<u64>,
    load_requested: Notify,
    slot: Mutex<LoadSlot>,
    min_refresh_interval: Duration,
}

/// The single slot for a requested load.
#[derive(Debug, Default)]
struct LoadSlot {
    requested_at: Option<Instant>,
    state: LoadState,
}

/// The state of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LoadState {
    /// Neither requested nor running.
    #[default]
    Idle,
    /// Requested and not begun: it will see everything published until now.
    Requested,
    /// Running: it may have read the key set before the current request arrived.
    Running,
}

impl Keys {
    /// Creates an empty key set for `origin` and the task that loads it.
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

    /// Returns the key set; `None` before the first load or when it is stale.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0.set.borrow().clone()
    }

    /// Resolves when there is a key set.
    pub async fn wait_until_loaded(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.set.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns the key set, after one more load if it does not contain `id` and a load may be
    /// requested.
    pub async fn current_or_reload(&self, id: &str) -> Option<Arc<KeySet>> {
        let set = self.current()?;
        if set.contains(id) {
            return Some(set);
        }
        let _ = timeout(Origin::TIMEOUT, self.request_load(id)).await;
        self.current()
    }

    /// Requests one extra load and waits for it. Returns immediately when one was requested less
    /// than `min_refresh_interval` ago. A running load is awaited first and may make another one
    /// unnecessary.
    async fn request_load(&self, id: &str) {
        // At most two rounds: the running load, then the requested one.
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

    /// Returns the pending load to wait for and a receiver for its end, if `id` is still unknown.
    fn pending_load(&self, id: &str) -> Option<(LoadState, watch::Receiver<u64>)> {
        let mut slot = self.slot();
        // Subscribed under the lock that `finish_load` takes: no load can end between the check and
        // the wait.
        let finished_loads = self.0.finished_loads.subscribe();
        if self.current().is_some_and(|set| set.contains(id)) {
            return None;
        }

        if slot.state == LoadState::Idle {
            if slot
                .requested_at
                .is_some_and(|at| at.elapsed() < self.0.min_refresh_interval)
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

    /// Marks the load as running; it serves all requests made so far.
    fn begin_load(&self) {
        let mut slot = self.slot();
        slot.state = LoadState::Running;
        // A scheduled load may begin before the requested one and replaces it, so its permit is
        // consumed; otherwise it would cause a second load immediately.
        pin!(self.0.load_requested.notified()).enable();
    }

    /// Marks the load as finished and wakes the waiting requests.
    fn finish_load(&self) {
        let mut slot = self.slot();
        slot.state = LoadState::Idle;
        self.0
            .finished_loads
            .send_modify(|finished_loads| *finished_loads += 1);
    }

    fn slot(&self) -> MutexGuard<'_, LoadSlot> {
        // Consistent after every statement, so a panic in a lock holder leaves no partial state.
        self.0.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refresher {
    /// Loads keys forever.
    pub async fn run(mut self) -> Infallible {
        loop {
            let next = Instant::now() + self.load().await;
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.keys.0.load_requested.notified() => {}
            }
        }
    }

    /// Performs one load and returns the time until the next.
    async fn load(&mut self) -> Duration {
        self.keys.begin_load();
        let pause = match self.origin.load().await {
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
        // Identical bytes keep their generation, and with it the cached tokens.
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

    /// Keeps the current keys after a failed load, until they are stale.
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
            "cannot load keys"
        );

        // 1, 2, 4 … 64 seconds, but never less often than the regular interval.
        let pause = RETRY_DELAY * 2_u32.saturating_pow(self.failures);
        self.failures = (self.failures + 1).min(6);
        pause.min(self.timing.refresh_interval)
    }
}

/// The delay after the first failed load; it doubles with each further one.
const RETRY_DELAY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use chassis::http::client::{PlainHttp, ProxySettings, TrustStore};

    use super::super::fetch::Fetcher;
    use super::super::origin::Source;
    use super::*;

    #[tokio::test]
    async fn a_scheduled_load_replaces_a_requested_one() {
        let source = Source::new("/nowhere/jwks.json", "").unwrap();
        let fetcher = Fetcher::new(
            TrustStore::PublicRoots,
            PlainHttp::LoopbackOnly,
            ProxySettings::none(),
        )
        .unwrap();
        let timing = Timing {
            refresh_interval: Duration::from_hours(1),
            min_refresh_interval: Duration::from_hours(1),
            max_stale: Duration::from_hours(1),
        };
        let (keys, mut refresher) = Keys::new(Origin::new(source, fetcher, Vec::new()), timing);
        // The request takes the slot; then the scheduled load runs before the requested one.
        let (state, finished_loads) = keys.pending_load("new").unwrap();

        assert_eq!(state, LoadState::Requested);
        refresher.load().await;
        assert!(
            finished_loads.has_changed().unwrap(),
            "the requester is woken"
        );
        let permit = timeout(Duration::ZERO, keys.0.load_requested.notified()).await;
        assert!(permit.is_err(), "a permit is left for a second load");
    }
}
