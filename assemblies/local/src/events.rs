//! Delivers the events of a task to the caller's sink.

use std::time::Duration;

use task_runner::RunnerEvent;
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

/// Delivers events until the task has ended, and signals once when it is RUNNING and HEALTHY.
pub(super) fn deliver(
    handle: &Handle,
    mut events: mpsc::Receiver<RunnerEvent>,
    mut sink: Box<dyn EventSink>,
    running: oneshot::Sender<()>,
    healthy: HealthCriterion,
) {
    let mut running = Some(running);
    loop {
        match handle.block_on(async { timeout(IDLE_INTERVAL, events.recv()).await }) {
            Ok(Some(event)) => {
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
