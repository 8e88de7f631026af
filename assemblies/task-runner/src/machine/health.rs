//! The health check: when to probe, and how results add up.

use std::time::Duration;

use super::{Action, Change, Health, HealthCheck, Outcome, Phase, State};

/// The probes of one run of a container.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    health: Health,
    streak: u32,
    next: Next,
}

/// The next probe: at most one is running.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    #[default]
    None,
    Due(Duration),
    Running,
}

impl Probes {
    /// Schedules the first probe one interval after the start.
    pub(super) fn begin(check: Option<&HealthCheck>, now: Duration) -> Self {
        let next = check.map_or(Next::None, |check| Next::Due(now + check.interval));
        Self {
            next,
            ..Self::default()
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health
    }

    pub(super) fn healthy(&self) -> bool {
        self.health == Health::Healthy
    }

    pub(super) fn due(&self) -> Option<Duration> {
        match self.next {
            Next::Due(at) => Some(at),
            _ => None,
        }
    }

    /// Counts a result and returns whether the health or the streak changed.
    ///
    /// One success makes the container healthy. Failures during the start period are ignored until the first
    /// success or counted failure. `retries` consecutive failures make it unhealthy.
    fn count(&mut self, outcome: Outcome, forgiven: bool, check: &HealthCheck) -> bool {
        let before = (self.health, self.streak);
        match outcome {
            Outcome::Passed => (self.health, self.streak) = (Health::Healthy, 0),
            Outcome::Failed if forgiven && self.health == Health::Unknown => {}
            Outcome::Failed => self.streak += 1,
        }

        // ECS requires at least 1; 0 would make a container unhealthy without a failure.
        if self.streak >= check.retries.max(1) {
            self.health = Health::Unhealthy;
        }
        before != (self.health, self.streak)
    }
}

impl State {
    pub(super) fn begin_probes(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for (container, state) in self.containers.iter_mut().enumerate() {
            let due = state.probes.due().is_some_and(|at| at <= now);
            // A stopping container is not probed: a failure would say nothing about it.
            let check = self.spec.containers[container].health.as_ref();
            if let (Phase::Running, true, Some(check)) = (state.phase, due, check) {
                state.probes.next = Next::Running;
                let (run, timeout) = (state.run, check.timeout);
                actions.push(Action::Probe {
                    container,
                    run,
                    timeout,
                });
            }
        }
    }

    pub(super) fn record_probe(
        &mut self,
        container: usize,
        run: u32,
        began: Duration,
        outcome: Outcome,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let Some((spec, state)) = self.pair(container) else {
            return;
        };
        let Some(check) = &spec.health else { return };

        // A result from an earlier run, or from a container that is stopping, is ignored.

        if state.phase != Phase::Running || state.run != run {
            return;
        }

        // As in Docker, the start of the probe decides, not its end.
        let forgiven = began.saturating_sub(state.last_run) < check.start_period;
        // Docker waits the interval after the end of one probe, not after its start.
        state.probes.next = Next::Due(now + check.interval);

        if state.probes.count(outcome, forgiven, check) {
            let (health, streak) = (state.probes.health, state.probes.streak);
            actions.push(Action::Publish(Change::Health {
                container,
                health,
                streak,
            }));
        }
    }
}
