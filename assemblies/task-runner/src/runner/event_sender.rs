//! Sends events to the observer of a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{EventKind, RunnerEvent};

/// Sends events with their time since the start of the task.
#[derive(Clone)]
pub(super) struct EventSender {
    events: mpsc::Sender<RunnerEvent>,
    pub(super) started_at: Instant,
    dropped_events: Arc<AtomicU64>,
}

impl EventSender {
    pub(super) fn new(events: mpsc::Sender<RunnerEvent>) -> Self {
        Self {
            events,
            started_at: Instant::now(),
            dropped_events: Arc::default(),
        }
    }

    /// Sends an event, or drops it if the queue is full.
    pub(super) fn send(&self, container: Option<&str>, kind: EventKind) {
        // Lines of output may not fill the last quarter of the queue: it is reserved for state changes.
        let reserved = if matches!(kind, EventKind::Log { .. }) {
            self.events.max_capacity() / 4
        } else {
            0
        };

        let event = RunnerEvent {
            at: self.started_at.elapsed(),
            container: container.map(Into::into),
            kind,
        };

        if self.events.capacity() <= reserved || self.events.try_send(event).is_err() {
            self.dropped_events.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of events dropped so far.
    pub(super) fn dropped_events(&self) -> u64 {
        self.dropped_events.load(Ordering::Relaxed)
    }
}
