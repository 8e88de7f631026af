//! When a container can start, and when it never can.

use std::time::Duration;

use super::{
    Action, Change, Condition, ContainerState, Dependency, Phase, State, TaskStatus, UNRESOLVED,
};

/// Whether a container can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// All conditions hold.
    Ready,
    /// This dependency does not hold yet.
    Waiting(Dependency),
    /// A dependency can never hold; the message says which and why.
    Impossible(String),
}

impl State {
    /// Returns whether a waiting container can start now. Conditions are checked in the order written.
    pub fn readiness(&self, container: usize, now: Duration) -> Readiness {
        let dependencies = self
            .spec
            .containers
            .get(container)
            .map_or(&[][..], |container| &container.depends_on);

        for dependency in dependencies {
            // Before `holds`: an expired timeout wins over a condition that holds by now.
            if let Some(why) = self.why_impossible(*dependency, now) {
                return Readiness::Impossible(why);
            }
            if !self.holds(*dependency) {
                return Readiness::Waiting(*dependency);
            }
        }

        Readiness::Ready
    }

    /// Ends one container that can never start, or else starts every container that can.
    ///
    /// Only one ends per call: if it is essential the task stops, and nothing else may start.
    pub(super) fn advance_start(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let all: Vec<_> = (0..self.containers.len())
            .filter(|container| self.containers[*container].is_waiting())
            .map(|container| (container, self.readiness(container, now)))
            .collect();
        // Impossible ones first: starting a container and stopping the task in one step would be observable.
        for (container, readiness) in &all {
            if let Readiness::Impossible(why) = readiness {
                let reason = format!("CannotStartContainerError: dependency graph: {why}");
                return self.end(*container, Some(UNRESOLVED), Some(reason), actions);
            }
        }

        for (container, readiness) in all {
            if readiness == Readiness::Ready {
                self.containers[container].phase = Phase::Starting;
                actions.push(Action::Publish(Change::Starting { container }));
                actions.push(Action::Spawn { container });
            }
        }
    }

    /// Returns when each `startTimeout` that a waiting container depends on expires.
    pub(super) fn start_deadlines(&self) -> impl Iterator<Item = Duration> + '_ {
        let waiting = (self.spec.containers.iter().zip(&self.containers))
            .filter(|(_, state)| self.stop.is_none() && state.phase == Phase::Waiting);
        waiting.flat_map(move |(spec, _)| {
            // Conditions are checked in order, so only those up to the first unmet one can time out.
            let mut blocked = false;
            let checked = spec.depends_on.iter().take_while(move |dependency| {
                let first = !blocked;
                blocked |= !self.holds(**dependency);
                first
            });
            checked.filter_map(|dependency| self.timeout(*dependency))
        })
    }

    fn holds(&self, dependency: Dependency) -> bool {
        let on = &self.containers[dependency.on];
        match dependency.condition {
            // START also holds when the dependency has already exited: it has run.
            Condition::Start => on.reported_status() >= TaskStatus::Running,
            // ECS does not treat an exit without a known code as complete.
            Condition::Complete => on.phase == Phase::Stopped && on.exit.is_some(),
            Condition::Success => on.phase == Phase::Stopped && on.exit == Some(0),
            Condition::Healthy => on.phase != Phase::Stopped && on.probes.healthy(),
        }
    }

    fn why_impossible(&self, dependency: Dependency, now: Duration) -> Option<String> {
        let (spec, on) = (
            &self.spec.containers[dependency.on],
            &self.containers[dependency.on],
        );
        let (name, condition) = (&spec.name, dependency.condition);
        if on.phase == Phase::Stopped {
            return match (on.first_run, condition, on.exit) {
                (None, ..) => Some(format!("dependency `{name}` did not start and never will")),
                (_, Condition::Success, Some(0)) => None,
                (_, Condition::Success, Some(code)) => Some(format!(
                    "dependency `{name}` had to succeed and exited {code}"
                )),
                (_, Condition::Success, None) => Some(format!(
                    "dependency `{name}` had to succeed and its exit code is unknown"
                )),
                _ => None,
            };
        }

        // The agent checks the timeout before the condition: a dependency that is healthy by now has still
        // timed out while its dependent waits for another one.
        let over = self.timeout(dependency).is_some_and(|at| now >= at);
        let limit = spec.start_timeout.unwrap_or_default().as_secs_f32();
        over.then(|| {
            format!(
                "dependency `{name}` has timed out: not {} {limit} s after its start",
                condition.as_str()
            )
        })
    }

    /// Returns when a dependency times out: `startTimeout` is a field of the dependency and counts from its start.
    fn timeout(&self, dependency: Dependency) -> Option<Duration> {
        let (spec, on) = (
            &self.spec.containers[dependency.on],
            &self.containers[dependency.on],
        );
        // START holds as soon as the dependency runs, so it cannot time out.
        let counts = dependency.condition != Condition::Start && on.phase != Phase::Stopped;
        counts.then_some(())?;
        Some(on.first_run? + spec.start_timeout?)
    }

    /// Returns the dependency that a container waits for forever: `HEALTHY` of a container that has ended.
    ///
    /// Fargate never gives up on it (containers-roadmap#2379).
    pub fn waits_forever(&self, container: usize, now: Duration) -> Option<Dependency> {
        let waiting = self
            .containers
            .get(container)
            .is_some_and(ContainerState::is_waiting);
        match self.readiness(container, now) {
            Readiness::Waiting(dependency)
                if waiting && self.containers[dependency.on].phase == Phase::Stopped =>
            {
                Some(dependency)
            }
            _ => None,
        }
    }
}

impl ContainerState {
    fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }
}
