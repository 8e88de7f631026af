//! The way to whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{RunnerEvent, What};

/// Tells what happens, and when, counted from its own beginning.
#[derive(Clone)]
pub(super) struct Listener {
    events: mpsc::Sender<RunnerEvent>,
    pub(super) begun: Instant,
    unheard: Arc<AtomicU64>,
}

impl Listener {
    pub(super) fn new(events: mpsc::Sender<RunnerEvent>) -> Self {
        Self {
            events,
            begun: Instant::now(),
            unheard: Arc::default(),
        }
    }

    /// Never waits: output gives way first, so that there is room for what matters.
    pub(super) fn hear(&self, container: Option<&str>, what: What) {
        let room = if matches!(what, What::Log { .. }) {
            self.events.max_capacity() / 4
        } else {
            0
        };

        let event = RunnerEvent {
            at: self.begun.elapsed(),
            container: container.map(Into::into),
            what,
        };

        if self.events.capacity() <= room || self.events.try_send(event).is_err() {
            self.unheard.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How much has found no room.
    pub(super) fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }
}
