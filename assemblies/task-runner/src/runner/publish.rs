//! What changes: written into the reports, and told to whoever watches.

use std::time::Duration;

use super::Runner;
use super::member::Member;
use crate::What;
use crate::machine::{Change, ExitCode, Stop, TaskStatus};

impl Runner {
    pub(super) fn publish(&mut self, change: Change, now: Duration) {
        let members = &mut self.members;
        let (container, what) = match change {
            Change::Starting { .. } => return,
            Change::TaskStopping(stop) => return self.task_stops(stop),
            Change::Task(status) => return self.task_is(status),
            Change::Running { container, run } => (container, members[container].runs(run, now)),
            Change::Health {
                container,
                health,
                streak,
            } => {
                let (code, output) = (
                    members[container].probe_code,
                    members[container].said.clone(),
                );
                let what = What::Health {
                    health,
                    streak,
                    code,
                    output,
                };
                (container, what)
            }
            Change::Replacing { container } => (container, members[container].is_replaced()),
            Change::Restarting { container, code } => {
                members[container].report.restarts += 1;
                (container, What::Restarting { code })
            }
            Change::Stopping { container, kill_at } => {
                (container, members[container].stops(kill_at, now))
            }
            Change::Killing { container } => (container, members[container].is_killed(now)),
            Change::Stopped {
                container,
                code,
                reason,
            } => (container, members[container].has_stopped(code, reason, now)),
        };

        self.listener
            .hear(Some(self.members[container].name()), what);
    }

    fn task_stops(&mut self, stop: Stop) {
        // The last good moment: a brief life may not have been looked at yet.
        self.look_at_memory();
        let what = What::TaskStopping {
            code: stop.code,
            reason: stop.reason.clone(),
        };
        self.stop = Some(stop);
        self.listener.hear(None, what);
    }

    fn task_is(&mut self, status: TaskStatus) {
        self.was_running |= status == TaskStatus::Running;
        self.health = self.state.health();
        let health = self.health;
        self.listener.hear(None, What::Task { status, health });
    }

    /// The task's health follows from its containers' and has no change of its own.
    pub(super) fn tell_health(&mut self) {
        let (status, health) = (self.state.status(), self.state.health());
        if health != self.health && status != TaskStatus::Stopped {
            self.health = health;
            self.listener.hear(None, What::Task { status, health });
        }
    }
}

impl Member {
    fn runs(&mut self, run: u32, now: Duration) -> What {
        self.report.started.get_or_insert(now);
        self.up_since = Some(now);
        What::Started {
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
        let all = self.definition.depends_on.iter();
        all.map(|one| format!("{} {}", one.container_name, one.condition.word()))
            .collect()
    }

    fn is_replaced(&mut self) -> What {
        (self.report.asked, self.report.killed) = (None, false);
        What::Replacing
    }

    fn stops(&mut self, kill_at: Duration, now: Duration) -> What {
        self.probe = None;
        self.report.asked = Some(now);
        What::Stopping {
            limit: kill_at.saturating_sub(now),
        }
    }

    fn is_killed(&mut self, now: Duration) -> What {
        self.report.asked.get_or_insert(now);
        self.report.killed = true;
        What::Killing
    }

    fn has_stopped(
        &mut self,
        code: Option<ExitCode>,
        reason: Option<String>,
        now: Duration,
    ) -> What {
        (self.report.code, self.report.reason) = (code, reason.clone());
        self.report.stopped = now;
        What::Stopped { code, reason }
    }
}
