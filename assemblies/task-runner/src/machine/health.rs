//! The health check: when to probe, and what the answers add up to.

use super::{Action, Change, Health, HealthCheck, Outcome, Phase, State};
use std::time::Duration;

/// The probes of one run of a container.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    health: Health,
    streak: u32,
    next: Next,
}

/// One probe at a time: either one is due, or one is under way.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    #[default]
    Nothing,
    Due(Duration),
    UnderWay,
}

impl Probes {
    /// The first probe comes one interval after the start.
    pub(super) fn begin(check: Option<&HealthCheck>, now: Duration) -> Self {
        let next = check.map_or(Next::Nothing, |check| Next::Due(now + check.interval));
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

    /// Counts one answer; says whether there is something to tell.
    ///
    /// A success is believed at once. Failures inside the start period are forgiven as long as
    /// there was no verdict yet; so many as `retries` in a row make it unhealthy.
    fn count(&mut self, outcome: Outcome, forgiven: bool, check: &HealthCheck) -> bool {
        let before = (self.health, self.streak);
        match outcome {
            Outcome::Passed => (self.health, self.streak) = (Health::Healthy, 0),
            Outcome::Failed if forgiven && self.health == Health::Unknown => {}
            Outcome::Failed => self.streak += 1,
        }

        if self.streak >= check.retries.max(1) {
            self.health = Health::Unhealthy;
        }
        before != (self.health, self.streak)
    }
}

impl State {
    pub(super) fn begin_probes(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for (container, member) in self.members.iter_mut().enumerate() {
            let due = member.probes.due().is_some_and(|at| at <= now);
            let check = self.spec.containers[container].health.as_ref();
            if let (Phase::Running, true, Some(check)) = (member.phase, due, check) {
                member.probes.next = Next::UnderWay;
                let (run, timeout) = (member.run, check.timeout);
                actions.push(Action::Probe {
                    container,
                    run,
                    timeout,
                });
            }
        }
    }

    pub(super) fn probed(
        &mut self,
        container: usize,
        run: u32,
        began: Duration,
        outcome: Outcome,
        now: Duration,
        actions: &mut Vec<Action>,
    ) {
        let Some((spec, member)) = self.pair(container) else {
            return;
        };
        let Some(check) = &spec.health else { return };

        // An answer from before a restart, or from a container on its way out, says nothing.
        if member.phase != Phase::Running || member.run != run {
            return;
        }

        let forgiven = began.saturating_sub(member.last_run) < check.start_period;
        // The pause is between the end of one probe and the beginning of the next.
        member.probes.next = Next::Due(now + check.interval);

        if member.probes.count(outcome, forgiven, check) {
            let (health, streak) = (member.probes.health, member.probes.streak);
            actions.push(Action::Publish(Change::Health {
                container,
                health,
                streak,
            }));
        }
    }
}
