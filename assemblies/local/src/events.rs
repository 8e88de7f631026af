//! Delivers the events of a task to the caller's sink.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use task_runner::{EventKind, RunnerEvent};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::run_dir::HealthCriterion;

/// Receives the events of a task.
pub trait EventSink: Send {
    /// Called for each event.
    fn event(&mut self, event: &RunnerEvent);
    /// Called when there was no event for a second.
    fn idle(&mut self) {}
}

/// The process of each container, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Processes(Arc<Mutex<BTreeMap<String, u32>>>);

impl Processes {
    /// Returns the first process of a container.
    pub(super) fn get(&self, container: &str) -> Option<u32> {
        let processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        processes.get(container).copied()
    }

    fn record(&self, event: &RunnerEvent) {
        if let (EventKind::Started { pid, .. }, Some(name)) = (&event.kind, &event.container) {
            let mut processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            processes.insert(name.clone(), *pid);
        }
    }
}

/// Delivers events until the task has ended, and signals once when it is RUNNING and HEALTHY.
pub(super) fn deliver(
    handle: &Handle,
    mut events: mpsc::Receiver<RunnerEvent>,
    mut sink: Box<dyn EventSink>,
    processes: &Processes,
    running: oneshot::Sender<()>,
    healthy: HealthCriterion,
) {
    let mut running = Some(running);
    loop {
        match handle.block_on(async { timeout(IDLE_INTERVAL, events.recv()).await }) {
            Ok(Some(event)) => {
                processes.record(&event);
                sink.event(&event);
                if healthy.is_reached(&event.kind) {
                    // The receiver may be gone: not every caller waits for this.
                    let _ = running.take().map(|running| running.send(()));
                }
            }
            Ok(None) => return,
            Err(_) => sink.idle(),
        }
    }
}

const IDLE_INTERVAL: Duration = Duration::from_secs(1);
