//! Warnings about differences from Fargate, and about tasks that would hang there. Each is sent once.

use std::mem;
use std::time::Duration;

use super::Runner;
use super::container::ManagedContainer;
use crate::EventKind;
use crate::machine::{Condition, Readiness, TaskStatus};
use crate::system::handles_sigterm;

impl Runner {
    /// Warns that containers are not PID 1 because the host grants no PID namespaces.
    pub(super) fn warn_no_pid_namespace(&mut self) {
        if !mem::replace(&mut self.namespace_warned, true) {
            self.event_sender
                .send(None, EventKind::Warning(NO_NAMESPACE.to_owned()));
        }
    }

    /// Warns of containers that wait for a condition that cannot hold, or long and without a limit.
    pub(super) fn warn_stuck(&mut self, now: Duration) {
        for index in 0..self.containers.len() {
            if self.containers[index].stuck_warned {
                continue;
            }
            let Some(text) = self.stuck_message(index, now) else {
                continue;
            };
            let hint = "on Fargate the task would hang for hours (containers-roadmap#2379); give it a startTimeout";

            self.event_sender.send(
                Some(self.containers[index].name()),
                EventKind::Warning(format!("{text}: {hint}")),
            );
            self.containers[index].stuck_warned = true;
        }

        self.hang_warned |= now >= HANG_WARNING_DELAY;
    }

    fn stuck_message(&self, index: usize, now: Duration) -> Option<String> {
        let view = self.state.view(index)?;
        if view.status != TaskStatus::Pending {
            return None;
        }

        let Readiness::Waiting(dependency) = self.state.readiness(index, now) else {
            return None;
        };
        let on = &self.state.spec().containers[dependency.on];

        if self.state.waits_forever(index, now).is_some() {
            let name = &on.name;
            return Some(format!(
                "waits for `{name}` to be healthy, but it has ended"
            ));
        }

        // The warning about long waits is for the whole task: sent once, at the first check after the delay.
        let is_late = now >= HANG_WARNING_DELAY && !self.hang_warned;
        let has_limit = dependency.condition == Condition::Start || on.start_timeout.is_some();
        (is_late && !has_limit).then(|| {
            format!(
                "still waits for `{}` {}",
                on.name,
                dependency.condition.as_str()
            )
        })
    }

    /// Warns of a process without a handler for SIGTERM: as PID 1, as on Fargate, it ignores the signal.
    pub(super) fn warn_without_handler(&self, container: usize, now: Duration) {
        let container = &self.containers[container];
        let is_settled = |since| now.saturating_sub(since) >= HANDLER_GRACE;
        if !container.running_since.is_some_and(is_settled)
            || container.pid.and_then(handles_sigterm) != Some(false)
            || container.has_other_stop_mechanism()
        {
            return;
        }

        let text = format!(
            "has no handler for SIGTERM: as PID 1, which it is on Fargate, it ignores the signal and is killed \
                 after {} s with exit code 137",
            container.report.stop_timeout.as_secs()
        );
        self.event_sender
            .send(Some(container.name()), EventKind::Warning(text));
    }
}

impl ManagedContainer {
    /// Returns true if its image names another stop signal, or an init process runs as PID 1.
    fn has_other_stop_mechanism(&self) -> bool {
        let image = self.program.image.as_ref();
        let linux = self.definition.linux_parameters.as_ref();
        image.is_some_and(|image| image.stop_signal.is_some())
            || linux.and_then(|linux| linux.init_process_enabled) == Some(true)
    }
}

const NO_NAMESPACE: &str = "this host grants no PID namespaces: a program without a handler for SIGTERM ends \
                            here at once, but not on Fargate, where it is PID 1";

/// A younger process may not have installed its handler yet.
const HANDLER_GRACE: Duration = Duration::from_secs(1);
/// When to warn of a wait without a limit.
pub(super) const HANG_WARNING_DELAY: Duration = Duration::from_secs(30);
