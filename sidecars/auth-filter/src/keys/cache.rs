//! The key set requests look into, and the one task that keeps it fresh.
//!
//! Only the [`Refresher`] ever loads, so there is never more than one load under way. A request
//! with a key id nobody knows may ask it for one load out of turn; the slot for that is taken before
//! the load begins, so that a thousand such requests cost the issuer one. A load that had begun before
//! the request may have read what was published before the key was, so the request then asks once more.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::origin::{LoadFault, Origin};
use super::set::KeySet;

/// The keys at this moment, shared by all requests.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Shared>);

/// How often keys are loaded and how long they are believed.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often keys are loaded while all is well.
    pub refresh: Duration,
    /// The least time between two loads that unknown key ids ask for.
    pub cooldown: Duration,
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
    fresh: Instant,
}

#[derive(Debug)]
struct Shared {
    set: watch::Sender<Option<Arc<KeySet>>>,
    /// Counts loads that have ended, well or not.
    landed: watch::Sender<u64>,
    wanted: Notify,
    slot: Mutex<Slot>,
    cooldown: Duration,
}

/// The right to ask for a load.
#[derive(Debug, Default)]
struct Slot {
    taken: Option<Instant>,
    flight: Flight,
}

/// How far a load is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flight {
    /// None is asked for and none is under way.
    #[default]
    None,
    /// Asked for, and it has not begun: it will see everything published until now.
    Asked,
    /// Under way: what it read may be older than the request that meets it.
    Begun,
}

impl Keys {
    /// Keys of `origin`, none so far, and the task that will load them.
    pub fn new(origin: Origin, timing: Timing) -> (Self, Refresher) {
        let keys = Self(Arc::new(Shared {
            set: watch::Sender::new(None),
            landed: watch::Sender::new(0),
            wanted: Notify::new(),
            slot: Mutex::default(),
            cooldown: timing.cooldown,
        }));

        let refresher = Refresher {
            keys: keys.clone(),
            origin,
            timing,
            failures: 0,
            fresh: Instant::now(),
        };

        (keys, refresher)
    }

    /// The key set, unless none was ever loaded or the last one is too old to be believed.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.0.set.borrow().clone()
    }

    /// Resolves when there is a key set.
    pub async fn loaded(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.set.subscribe().wait_for(Option::is_some).await;
    }

    /// The key set, after one more load if it does not know `id` and one may be asked for.
    pub async fn knowing(&self, id: &str) -> Option<Arc<KeySet>> {
        let set = self.current()?;
        if set.knows(id) {
            return Some(set);
        }
        let _ = timeout(Origin::LIMIT, self.ask(id)).await;
        self.current()
    }

    /// Asks for one load out of turn and waits for it; returns at once when that was done less than
    /// a cool-down ago. A load under way is waited for first, and may make another needless.
    async fn ask(&self, id: &str) {
        for _ in 0..2 {
            let Some((flight, mut landed)) = self.coming(id) else {
                return;
            };
            let _ = landed.changed().await;
            if flight == Flight::Asked {
                return;
            }
        }
    }

    /// The load to wait for and what tells its end, if one is coming and `id` is still unknown.
    fn coming(&self, id: &str) -> Option<(Flight, watch::Receiver<u64>)> {
        let mut slot = self.slot();
        // Under the lock, as landing is: no load ends between the look at the slot and the wait.
        let landed = self.0.landed.subscribe();
        if self.current().is_some_and(|set| set.knows(id)) {
            return None;
        }

        if slot.flight == Flight::None {
            let taken = slot.taken;
            if taken.is_some_and(|taken| taken.elapsed() < self.0.cooldown) {
                return None;
            }

            *slot = Slot {
                taken: Some(Instant::now()),
                flight: Flight::Asked,
            };
            self.0.wanted.notify_one();
        }

        Some((slot.flight, landed))
    }

    /// Marks a load as begun; it serves whoever has asked until now.
    fn begin(&self) {
        let mut slot = self.slot();
        slot.flight = Flight::Begun;
        // A scheduled load may get ahead of the one that was asked for. It takes its place, so the
        // permit goes; left there, it would cost the issuer a second load at once.
        pin!(self.0.wanted.notified()).enable();
    }

    /// Marks the load under way as ended and wakes who waited for it.
    fn land(&self) {
        let mut slot = self.slot();
        slot.flight = Flight::None;
        self.0.landed.send_modify(|landed| *landed += 1);
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
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
                () = self.keys.0.wanted.notified() => {}
            }
        }
    }

    /// One load; gives the time until the next.
    async fn load(&mut self) -> Duration {
        self.keys.begin();
        let loaded = self.origin.load().await;
        let pause = match loaded {
            Ok(set) => self.keep(set),
            Err(fault) => self.go_stale(&fault),
        };
        self.keys.land();
        pause
    }

    fn keep(&mut self, set: KeySet) -> Duration {
        self.failures = 0;
        self.fresh = Instant::now();
        for ignored in set.ignored() {
            let kid = ignored.id.as_deref().unwrap_or("-");
            tracing::debug!(kid, reason = %ignored.reason, "published key ignored");
        }

        let before = self.keys.current();
        // The same bytes again keep their edition, and with it what was found by them.
        if before
            .as_ref()
            .is_some_and(|set_before| set_before.same_document(&set))
        {
            return self.timing.refresh;
        }

        self.keys.0.set.send_replace(Some(Arc::new(set)));
        let now = self.keys.current();
        let ids = |set: &Option<Arc<KeySet>>| set.as_ref().map(|set| set.ids().join(" "));
        if ids(&before) != ids(&now) {
            tracing::info!(from = self.origin.place(), keys = ids(&now), "keys loaded");
        }

        self.timing.refresh
    }

    /// A failed load takes nothing away, until what is there is too old to be believed.
    fn go_stale(&mut self, fault: &LoadFault) -> Duration {
        let too_old = self.fresh.elapsed() > self.timing.max_stale;
        if too_old {
            self.keys.0.set.send_replace(None);
        }

        let kept = self.keys.current().is_some();
        let error = chain(fault);
        tracing::warn!(
            error,
            kept,
            from = self.origin.place(),
            "keys could not be loaded"
        );

        let pause = RETRY * 2_u32.saturating_pow(self.failures);
        self.failures = (self.failures + 1).min(6);
        pause.min(self.timing.refresh)
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The pause after a first failed load; it doubles with each further one.
const RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::fetch::{Fetcher, PlainHttp, Roots};
    use super::super::origin::Source;
    use super::*;

    #[tokio::test]
    async fn a_scheduled_load_takes_the_place_of_the_one_asked_for() {
        let source = Source::new("/nowhere/jwks.json", "").unwrap();
        let fetcher = Fetcher::new(&Roots::Public, PlainHttp::Loopback).unwrap();
        let timing = Timing {
            refresh: Duration::from_hours(1),
            cooldown: Duration::from_hours(1),
            max_stale: Duration::from_hours(1),
        };
        let (keys, mut refresher) = Keys::new(Origin::new(source, fetcher, Vec::new()), timing);
        let (flight, landed) = keys.coming("new").unwrap();

        assert_eq!(flight, Flight::Asked);
        refresher.load().await;
        assert!(landed.has_changed().unwrap(), "who asked is served");
        let permit = timeout(Duration::ZERO, keys.0.wanted.notified()).await;
        assert!(permit.is_err(), "a permit is left for a second load");
    }
}
