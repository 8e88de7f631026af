//! Scale-in protection, which both the API and the endpoint in the task change.

use std::time::{Duration, SystemTime};

use super::Running;
use crate::emulator::Shared;

impl Running {
    /// Passes changes of the protection on, from the endpoint in the task to the API and back.
    pub(super) fn exchange_protection(&mut self, id: &str, shared: &Shared) {
        if !self.is_of_service {
            return;
        }
        let from_task = self.process.protected_until();
        let mut state = shared.state();
        let Some(task) = state.tasks.by_id.get_mut(id) else {
            return;
        };

        // Compared with what both had last: the side that differs has changed it.
        if from_task != self.protected_until {
            task.protected_until = from_task;
            self.protected_until = from_task;
            return;
        }

        let until = task.protected_until.map(whole_seconds);
        // Not under the lock: it writes a file.
        drop(state);
        // A write that fails is tried again the next time.
        if until != self.protected_until && self.process.set_protection(until).is_ok() {
            self.protected_until = until;
        }
    }
}

/// Returns the time in the precision that the task has.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.unwrap_or_default().as_secs())
}
