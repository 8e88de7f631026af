//! How containers end: exits, restarts, and the stop of the whole task in reverse order.

use std::time::Duration;

use super::{
    Action, Change, ContainerState, Event, ExitCode, Phase, RestartPolicy, State, Stop, StopCode,
    StopMode, TaskStatus, health,
};

impl State {
    pub(super) fn record_exit(
        &mut self,
        container: usize,
        code: Option<ExitCode>,
        out_of_memory: bool,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        if self
            .containers
            .get(container)
            .is_some_and(|state| state.phase == Phase::Starting)
        {
            // The report of its start may arrive after the report of its exit.
            self.apply(Event::Spawned { container }, now, actions);
        }

        let stopping = self.stop.is_some();
        let Some((spec, state)) = self.pair(container) else {
            return;
        };

        // A replacement is not a restart: it ignores the restart policy and is not counted.
        if std::mem::take(&mut state.replacing) && !stopping {
            state.phase = Phase::Starting;
            state.probes = health::Probes::default();
            actions.push(Action::Publish(Change::Replacing { container }));
            actions.push(Action::Spawn { container });
            return;
        }

        // Neither a stopping task nor a container that was asked to stop restarts (ECS developer guide, container restart policies).
        let policy = spec
            .restart
            .as_ref()
            .filter(|_| !stopping && state.phase == Phase::Running);

        match (code, policy) {
            (Some(code), Some(policy)) if state.restarts_after(code, policy, now) => {
                // Essential or not: as long as the policy restarts it, its exit has no consequence.
                state.phase = Phase::Starting;
                state.last_restart = Some(now);
                state.restarts += 1;
                state.probes = health::Probes::default();
                actions.push(Action::Publish(Change::Restarting { container, code }));
                actions.push(Action::Spawn { container });
            }
            _ => {
                let message = "OutOfMemoryError: Container killed due to memory usage";
                self.end(
                    container,
                    code,
                    out_of_memory.then(|| message.into()),
                    actions,
                );
            }
        }
    }

    /// Stops a running container in order to start it again; its dependents keep running.
    pub(super) fn replace(&mut self, container: usize, now: Duration, actions: &mut Vec<Action>) {
        let stopping = self.stop.is_some();
        let Some((spec, state)) = self.pair(container) else {
            return;
        };

        if stopping || state.phase != Phase::Running {
            return;
        }

        let kill_at = now + spec.stop_timeout;
        state.replacing = true;
        state.phase = Phase::Stopping {
            kill_at: Some(kill_at),
        };
        // Unlike in a stop of the task, dependents do not stop first.
        actions.push(Action::Publish(Change::Stopping { container, kill_at }));
        actions.push(Action::Terminate { container });
    }

    /// Marks a container as ended, whether it ever ran or not.
    pub(super) fn end(
        &mut self,
        container: usize,
        code: Option<ExitCode>,
        reason: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        let Some(state) = self.containers.get_mut(container) else {
            return;
        };
        // The first reason counts: a container that could not start may still be reported as exited.
        if state.phase == Phase::Stopped {
            return;
        }

        state.phase = Phase::Stopped;
        state.exit = code;
        state.reason.clone_from(&reason);
        actions.push(Action::Publish(Change::Stopped {
            container,
            code,
            reason,
        }));
    }

    pub(super) fn stop_on_essential_exit(&mut self, actions: &mut Vec<Action>) {
        if self.stop.is_some() {
            return;
        }

        let ended = |container: &usize| {
            self.spec.containers[*container].essential
                && self.containers[*container].phase == Phase::Stopped
        };
        // In definition order, so that the reported cause is deterministic when two end together.
        let Some(cause) = (0..self.containers.len()).find(ended) else {
            return;
        };
        let state = &self.containers[cause];
        let (code, reason) = match (state.first_run, &state.reason) {
            // It never ran and has a reason: the start failed, which ECS reports with another code.
            (None, Some(reason)) => (StopCode::TaskFailedToStart, reason.clone()),
            _ => (
                StopCode::EssentialContainerExited,
                ESSENTIAL_EXITED.to_owned(),
            ),
        };

        self.begin_stop(code, reason, Some(cause), actions);
    }

    /// Begins the stop of the task; a later stop keeps the first code and reason.
    pub(super) fn begin_stop(
        &mut self,
        code: StopCode,
        reason: String,
        cause: Option<usize>,
        actions: &mut Vec<Action>,
    ) {
        if self.stop.is_some() || self.status == TaskStatus::Stopped {
            return;
        }

        let stop = Stop {
            code,
            reason,
            cause,
        };

        self.stop = Some(stop.clone());
        actions.push(Action::Publish(Change::TaskStopping(stop)));
    }

    /// Stops every container without running dependents; containers that never ran end at once.
    pub(super) fn advance_stop(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for container in 0..self.containers.len() {
            match (self.containers[container].phase, self.stop_mode) {
                (Phase::Waiting, _) => self.end(container, None, None, actions),
                (Phase::Running | Phase::Stopping { kill_at: Some(_) }, StopMode::Immediate) => {
                    self.kill(container, actions);
                }
                (Phase::Running, StopMode::Ordered) if !self.has_dependents(container) => {
                    // Spot ends the notice period for all: no stop timeout reaches beyond it.
                    let own = now + self.spec.containers[container].stop_timeout;
                    let kill_at = self.spot_deadline.map_or(own, |end| own.min(end));
                    self.containers[container].phase = Phase::Stopping {
                        kill_at: Some(kill_at),
                    };
                    actions.push(Action::Publish(Change::Stopping { container, kill_at }));
                    actions.push(Action::Terminate { container });
                }
                // A container that is starting is left alone until it runs; then the next round stops it.
                _ => {}
            }
        }
    }

    pub(super) fn kill_overdue(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for container in 0..self.containers.len() {
            // Without `kill_at` the kill was already sent; it is not repeated.
            if let Phase::Stopping { kill_at: Some(at) } = self.containers[container].phase
                && at <= now
            {
                self.kill(container, actions);
            }
        }
    }

    fn kill(&mut self, container: usize, actions: &mut Vec<Action>) {
        self.containers[container].phase = Phase::Stopping { kill_at: None };
        actions.push(Action::Publish(Change::Killing { container }));
        actions.push(Action::Kill { container });
    }

    /// Returns true if a container that has not ended lists this one in its `dependsOn`.
    fn has_dependents(&self, container: usize) -> bool {
        (self.spec.containers.iter().zip(&self.containers)).any(|(spec, state)| {
            state.phase != Phase::Stopped
                && spec
                    .depends_on
                    .iter()
                    .any(|dependency| dependency.on == container)
        })
    }
}

impl ContainerState {
    /// Applies the restart policy: without a limit on attempts, but not before the period has passed.
    fn restarts_after(&self, code: ExitCode, policy: &RestartPolicy, now: Duration) -> bool {
        let since = self.last_restart.or(self.first_run).unwrap_or(now);
        !policy.ignored_exit_codes.contains(&code) && now.saturating_sub(since) >= policy.period
    }
}

const ESSENTIAL_EXITED: &str = "Essential container in task exited";
