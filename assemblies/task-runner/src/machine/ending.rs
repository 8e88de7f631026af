//! How containers end: exits, restarts, and the stop of the whole task in reverse order.

use super::{
    Action, Change, Event, ExitCode, Haste, Phase, RestartPolicy, State, Stop, StopCode, TaskStatus,
};
use super::{Member, health};
use std::time::Duration;

impl State {
    pub(super) fn exited(
        &mut self,
        container: usize,
        code: Option<ExitCode>,
        out_of_memory: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        if self
            .members
            .get(container)
            .is_some_and(|member| member.phase == Phase::Starting)
        {
            // The news of its start was overtaken by the news of its end.
            self.take(Event::Spawned { container }, now, actions);
        }

        let stopping = self.stop.is_some();
        let Some((spec, member)) = self.pair(container) else {
            return;
        };

        if std::mem::take(&mut member.replacing) && !stopping {
            member.phase = Phase::Starting;
            member.probes = health::Probes::default();
            actions.push(Action::Publish(Change::Replacing { container }));
            actions.push(Action::Spawn { container });
            return;
        }

        let policy = spec
            .restart
            .as_ref()
            .filter(|_| !stopping && member.phase == Phase::Running);

        match (code, policy) {
            (Some(code), Some(policy)) if member.comes_back(code, policy, now) => {
                member.phase = Phase::Starting;
                member.last_restart = Some(now);
                member.restarts += 1;
                member.probes = health::Probes::default();
                actions.push(Action::Publish(Change::Restarting { container, code }));
                actions.push(Action::Spawn { container });
            }
            _ => {
                let words = "OutOfMemoryError: Container killed due to memory usage";
                self.end(
                    container,
                    code,
                    out_of_memory.then(|| words.into()),
                    actions,
                );
            }
        }
    }

    /// Ends one container in order, to start it again; who depends on it goes on. Only one that runs can be.
    pub(super) fn replace(&mut self, container: usize, now: Duration, actions: &mut Vec<Action>) {
        let stopping = self.stop.is_some();
        let Some((spec, member)) = self.pair(container) else {
            return;
        };

        if stopping || member.phase != Phase::Running {
            return;
        }

        let kill_at = now + spec.stop_timeout;
        member.replacing = true;
        member.phase = Phase::Stopping {
            kill_at: Some(kill_at),
        };
        actions.push(Action::Publish(Change::Stopping { container, kill_at }));
        actions.push(Action::Terminate { container });
    }

    /// A container is over, whether it ever ran or not.
    pub(super) fn end(
        &mut self,
        container: usize,
        code: Option<ExitCode>,
        reason: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        let Some(member) = self.members.get_mut(container) else {
            return;
        };
        if member.phase == Phase::Stopped {
            return;
        }

        member.phase = Phase::Stopped;
        member.exit = code;
        member.reason.clone_from(&reason);
        actions.push(Action::Publish(Change::Stopped {
            container,
            code,
            reason,
        }));
    }

    pub(super) fn stop_when_an_essential_ended(&mut self, actions: &mut Vec<Action>) {
        if self.stop.is_some() {
            return;
        }

        let ended = |container: &usize| {
            self.spec.containers[*container].essential
                && self.members[*container].phase == Phase::Stopped
        };
        let Some(guilty) = (0..self.members.len()).find(ended) else {
            return;
        };
        let member = &self.members[guilty];
        let (code, reason) = match (member.first_run, &member.reason) {
            (None, Some(reason)) => (StopCode::TaskFailedToStart, reason.clone()),
            _ => (
                StopCode::EssentialContainerExited,
                ESSENTIAL_EXITED.to_owned(),
            ),
        };

        self.begin_stop(code, reason, Some(guilty), actions);
    }

    /// The first reason is the one that counts.
    pub(super) fn begin_stop(
        &mut self,
        code: StopCode,
        reason: String,
        guilty: Option<usize>,
        actions: &mut Vec<Action>,
    ) {
        if self.stop.is_some() || self.status == TaskStatus::Stopped {
            return;
        }

        let stop = Stop {
            code,
            reason,
            guilty,
        };

        self.stop = Some(stop.clone());
        actions.push(Action::Publish(Change::TaskStopping(stop)));
    }

    /// Stops whatever nobody alive depends on; what never ran is simply over.
    pub(super) fn advance_stop(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for container in 0..self.members.len() {
            match (self.members[container].phase, self.haste) {
                (Phase::Waiting, _) => self.end(container, None, None, actions),
                (Phase::Running | Phase::Stopping { kill_at: Some(_) }, Haste::AtOnce) => {
                    self.kill(container, actions);
                }
                (Phase::Running, Haste::InOrder) if !self.has_dependents(container) => {
                    let own = now + self.spec.containers[container].stop_timeout;
                    let kill_at = self.taken_at.map_or(own, |taken| own.min(taken));
                    self.members[container].phase = Phase::Stopping {
                        kill_at: Some(kill_at),
                    };
                    actions.push(Action::Publish(Change::Stopping { container, kill_at }));
                    actions.push(Action::Terminate { container });
                }
                _ => {}
            }
        }
    }

    pub(super) fn kill_overdue(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for container in 0..self.members.len() {
            if let Phase::Stopping { kill_at: Some(at) } = self.members[container].phase
                && at <= now
            {
                self.kill(container, actions);
            }
        }
    }

    fn kill(&mut self, container: usize, actions: &mut Vec<Action>) {
        self.members[container].phase = Phase::Stopping { kill_at: None };
        actions.push(Action::Publish(Change::Killing { container }));
        actions.push(Action::Kill { container });
    }

    /// Whether a container that is still alive lists this one in its dependsOn.
    fn has_dependents(&self, container: usize) -> bool {
        (self.spec.containers.iter().zip(&self.members)).any(|(spec, member)| {
            member.phase != Phase::Stopped && spec.depends_on.iter().any(|n| n.on == container)
        })
    }
}

impl Member {
    /// The restart policy: at once and without limit, but not before the period is over.
    fn comes_back(&self, code: ExitCode, policy: &RestartPolicy, now: Duration) -> bool {
        let since = self.last_restart.or(self.first_run).unwrap_or(now);
        !policy.ignored_exit_codes.contains(&code) && now.saturating_sub(since) >= policy.period
    }
}

const ESSENTIAL_EXITED: &str = "Essential container in task exited";
