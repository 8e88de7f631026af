//! Publishes changes: records them in the reports and sends them to the observer.

use std::time::Duration;

use super::Runner;
use super::container::ManagedContainer;
use crate::EventKind;
use crate::machine::{Change, ExitCode, Stop, TaskStatus};

impl Runner {
    pub(super) fn publish(&mut self, change: Change, now: Duration) {
        let containers = &mut self.containers;
        let (container, kind) = match change {
            // The machine reports the decision to start; observers see the start itself.
            Change::Starting { .. } => return,
            Change::TaskStopping(stop) => return self.publish_task_stopping(stop),
            Change::Task(status) => return self.publish_task_status(status),
            Change::Running { container, run } => {
                (container, containers[container].mark_running(run, now))
            }
            Change::Health {
                container,
                health,
                streak,
            } => {
                let (code, output) = (
                    containers[container].probe_code,
                    containers[container].probe_output.clone(),
                );
                let kind = EventKind::Health {
                    health,
                    streak,
                    code,
                    output,
                };
                (container, kind)
            }
            Change::Replacing { container } => (container, containers[container].mark_replacing()),
            Change::Restarting { container, code } => {
                containers[container].report.restarts += 1;
                (container, EventKind::Restarting { code })
            }
            Change::Stopping { container, kill_at } => {
                (container, containers[container].mark_stopping(kill_at, now))
            }
            Change::Killing { container } => (container, containers[container].mark_killing(now)),
            Change::Stopped {
                container,
                code,
                reason,
            } => (
                container,
                containers[container].mark_stopped(code, reason, now),
            ),
        };

        self.event_sender
            .send(Some(self.containers[container].name()), kind);
    }

    fn publish_task_stopping(&mut self, stop: Stop) {
        // Containers end from now on: those that ran briefly may not have been measured yet.
        self.check_memory();
        let kind = EventKind::TaskStopping {
            code: stop.code,
            reason: stop.reason.clone(),
        };
        self.stop = Some(stop);
        self.event_sender.send(None, kind);
    }

    fn publish_task_status(&mut self, status: TaskStatus) {
        self.was_running |= status == TaskStatus::Running;
        self.health = self.state.health();
        let health = self.health;
        self.event_sender
            .send(None, EventKind::Task { status, health });
    }

    /// Publishes the task's health if it changed: it is derived from the containers' health.
    pub(super) fn publish_health(&mut self) {
        let (status, health) = (self.state.status(), self.state.health());
        if health != self.health && status != TaskStatus::Stopped {
            self.health = health;
            self.event_sender
                .send(None, EventKind::Task { status, health });
        }
    }
}

impl ManagedContainer {
    fn mark_running(&mut self, run: u32, now: Duration) -> EventKind {
        // Only the first run counts as the start of the container.
        self.report.started_at.get_or_insert(now);
        self.running_since = Some(now);
        EventKind::Started {
            pid: self.pid.unwrap_or_default(),
            run,
            after: if run == 1 {
                self.dependencies()
            } else {
                Vec::new()
            },
        }
    }

    fn dependencies(&self) -> Vec<String> {
        let dependencies = self.definition.depends_on.iter();
        dependencies
            .map(|dependency| {
                format!(
                    "{} {}",
                    dependency.container_name,
                    dependency.condition.as_str()
                )
            })
            .collect()
    }

    fn mark_replacing(&mut self) -> EventKind {
        // A replacement is no stop of the container: its report starts over.
        (self.report.stop_requested_at, self.report.killed) = (None, false);
        EventKind::Replacing
    }

    fn mark_stopping(&mut self, kill_at: Duration, now: Duration) -> EventKind {
        // Dropping it cancels a probe under way.
        self.probe = None;
        self.report.stop_requested_at = Some(now);
        EventKind::Stopping {
            limit: kill_at.saturating_sub(now),
        }
    }

    fn mark_killing(&mut self, now: Duration) -> EventKind {
        self.report.stop_requested_at.get_or_insert(now);
        self.report.killed = true;
        EventKind::Killing
    }

    fn mark_stopped(
        &mut self,
        code: Option<ExitCode>,
        reason: Option<String>,
        now: Duration,
    ) -> EventKind {
        (self.report.exit_code, self.report.reason) = (code, reason.clone());
        self.report.stopped_at = now;
        EventKind::Stopped { code, reason }
    }
}
