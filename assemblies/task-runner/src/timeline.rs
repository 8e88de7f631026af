//! The timing of a task without running it: the best and worst duration of its start and its stop.
//!
//! The machine is simulated twice: with programs that start at once and probes that pass, and then with
//! containers that use their whole `stopTimeout`. The same machine drives `up`, so the timeline predicts what
//! `up` and Fargate do.

use std::collections::VecDeque;
use std::time::Duration;

use crate::machine::{
    Action, Change, Condition, Event, Health, Outcome, Spec, State, StopCode, TaskStatus, step,
};

/// The start and the stop of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// From the first container to a running and healthy task: programs start at once, probes pass, and
    /// containers that must end before others start end at once.
    pub start: Vec<Moment>,
    /// From the stop request to the last exit: every container is killed at the end of its `stopTimeout`.
    pub stop: Vec<Moment>,
    /// The latest start of each container, if every wait lasts as long as `startTimeout` allows.
    pub latest_starts: Vec<LatestStart>,
}

/// A change and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Time since the start of the task, or since the stop request.
    pub at: Duration,
    /// The change.
    pub change: Change,
}

/// The latest start of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatestStart {
    /// It starts no later than this.
    At(Duration),
    /// A container it waits for has no `startTimeout`, so the wait has no limit.
    Unbounded {
        /// The container without `startTimeout`.
        on: usize,
    },
}

impl Timeline {
    /// Simulates the start and the stop of a task.
    pub fn new(spec: &Spec) -> Self {
        let mut simulation = Simulation::new(spec);
        simulation.send(Event::Tick);
        simulation.run_until(|state| state.status() == TaskStatus::Running && is_settled(state));

        let start = std::mem::take(&mut simulation.moments);
        simulation.stop();
        Self {
            start,
            stop: simulation.moments,
            latest_starts: (0..spec.containers.len())
                .map(|container| latest_start(spec, container))
                .collect(),
        }
    }

    /// Returns the best-case duration of the start, or `None` if the task never reaches `RUNNING`.
    pub fn start_duration(&self) -> Option<Duration> {
        self.start
            .iter()
            .find(|moment| moment.change == Change::Task(TaskStatus::Running))
            .map(|moment| moment.at)
    }

    /// Returns the worst-case duration of the stop.
    pub fn stop_duration(&self) -> Duration {
        self.stop.last().map(|moment| moment.at).unwrap_or_default()
    }
}

/// Returns true if every health check has succeeded.
fn is_settled(state: &State) -> bool {
    let mut checked = (state.spec().containers.iter().enumerate())
        .filter(|(_, container)| container.health.is_some());
    checked.all(|(index, _)| {
        let view = state.view(index);
        // One that has already ended, as an init container, gets no further results.
        view.is_none_or(|view| view.status == TaskStatus::Stopped || view.health == Health::Healthy)
    })
}

/// A simulated environment in which only the times in the definition pass.
struct Simulation {
    state: State,
    now: Duration,
    deadline: Option<Duration>,
    /// Events to send next.
    events: VecDeque<Event>,
    moments: Vec<Moment>,
    /// Whether each container must end before another one starts.
    must_end: Vec<bool>,
}

impl Simulation {
    fn new(spec: &Spec) -> Self {
        let must_end = |index: usize| {
            let mut dependencies =
                (spec.containers.iter()).flat_map(|container| &container.depends_on);
            dependencies.any(|dependency| {
                dependency.on == index
                    && matches!(
                        dependency.condition,
                        Condition::Complete | Condition::Success
                    )
            })
        };

        Self {
            state: State::new(spec.clone()),
            now: Duration::ZERO,
            deadline: None,
            events: VecDeque::new(),
            moments: Vec::new(),
            must_end: (0..spec.containers.len()).map(must_end).collect(),
        }
    }

    /// Sends an event, and every event that follows from it at the same time.
    fn send(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let (state, actions, deadline) = step(self.state.clone(), event, self.now);
            (self.state, self.deadline) = (state, deadline);
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn { container } => {
                self.events.push_back(Event::Spawned { container });
                if self.must_end[container] {
                    self.events.push_back(exit(container, 0));
                }
            }
            Action::Probe { container, run, .. } => self.events.push_back(Event::Probed {
                container,
                run,
                began: self.now,
                outcome: Outcome::Passed,
            }),
            Action::Kill { container } => self.events.push_back(exit(container, 137)),
            // The signal is ignored, so that the whole `stopTimeout` passes.
            Action::Terminate { .. } => {}
            Action::Publish(change) => self.moments.push(Moment {
                at: self.now,
                change,
            }),
        }
    }

    /// Advances the time from deadline to deadline.
    fn run_until(&mut self, is_done: impl Fn(&State) -> bool) {
        // Each container needs at most one probe and one kill; a task that needs more steps never settles.
        let steps = 4 * (self.must_end.len() + 1);
        for _ in 0..steps {
            let Some(next) = self.deadline.filter(|_| !is_done(&self.state)) else {
                return;
            };
            self.now = self.now.max(next);
            self.send(Event::Tick);
        }
    }

    /// Simulates the stop; its times count from the stop request.
    fn stop(&mut self) {
        let began = self.now;
        self.send(Event::StopRequested {
            code: StopCode::UserInitiated,
            reason: "Task stopped by user".to_owned(),
        });
        self.run_until(|state| state.status() == TaskStatus::Stopped);

        for moment in &mut self.moments {
            moment.at = moment.at.saturating_sub(began);
            if let Change::Stopping { kill_at, .. } = &mut moment.change {
                *kill_at = kill_at.saturating_sub(began);
            }
        }
    }
}

fn exit(container: usize, code: i32) -> Event {
    Event::Exited {
        container,
        code: Some(code),
        out_of_memory: false,
    }
}

/// Returns the latest start of a container. The recursion ends: a [`Spec`] has no cycles.
fn latest_start(spec: &Spec, container: usize) -> LatestStart {
    let mut at = Duration::ZERO;
    for dependency in &spec.containers[container].depends_on {
        let began = match latest_start(spec, dependency.on) {
            LatestStart::At(began) => began,
            unbounded @ LatestStart::Unbounded { .. } => return unbounded,
        };

        // The timeout belongs to the dependency and counts from its start.
        let wait = match (
            dependency.condition,
            spec.containers[dependency.on].start_timeout,
        ) {
            (Condition::Start, _) => Duration::ZERO,
            (_, Some(limit)) => limit,
            (_, None) => return LatestStart::Unbounded { on: dependency.on },
        };
        at = at.max(began + wait);
    }

    LatestStart::At(at)
}

#[cfg(test)]
mod tests {
    use diagnostics::source::Source;
    use task_definition::read;

    use super::*;

    fn timeline(containers: &str) -> (Spec, Timeline) {
        let text = format!("{{\"family\": \"f\", \"containerDefinitions\": [{containers}]}}");
        let definition = read(&Source::new("f.json", text)).unwrap().definition;
        let spec = Spec::read(&definition).unwrap();
        let timeline = Timeline::new(&spec);
        (spec, timeline)
    }

    const CHECK: &str = r#""healthCheck": {"command": ["CMD", "/p"], "interval": 7}"#;

    #[test]
    fn each_healthy_dependency_costs_an_interval() {
        let (_, timeline) = timeline(&format!(
            r#"{{"name": "a", "image": "a", "startTimeout": 20, {CHECK}}},
               {{"name": "b", "image": "b", "startTimeout": 30, {CHECK}, "dependsOn": [{{"containerName": "a", "condition": "HEALTHY"}}]}},
               {{"name": "c", "image": "c", "dependsOn": [{{"containerName": "b", "condition": "HEALTHY"}}]}}"#
        ));
        // Two intervals of 7 s; at worst c waits for both timeouts, 20 s and 30 s.
        assert_eq!(timeline.start_duration(), Some(Duration::from_secs(14)));
        let latest = [0, 20, 50].map(|at| LatestStart::At(Duration::from_secs(at)));
        assert_eq!(timeline.latest_starts, latest);
    }

    #[test]
    fn the_worst_stop_is_the_longest_path() {
        let (spec, timeline) = timeline(
            r#"{"name": "app", "image": "a", "stopTimeout": 40},
               {"name": "proxy", "image": "p", "stopTimeout": 10, "dependsOn": [{"containerName": "app", "condition": "START"}]},
               {"name": "alone", "image": "x", "stopTimeout": 45}"#,
        );
        // proxy stops before app, 10 s + 40 s; `alone` stops in parallel.
        assert_eq!(timeline.stop_duration(), Duration::from_secs(50));
        assert_eq!(timeline.stop_duration(), spec.longest_stop());
    }

    #[test]
    fn a_wait_without_start_timeout_is_unbounded() {
        let (_, timeline) = timeline(
            r#"{"name": "init", "image": "i", "essential": false},
               {"name": "app", "image": "a", "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]},
               {"name": "proxy", "image": "p", "dependsOn": [{"containerName": "app", "condition": "START"}]}"#,
        );
        // At best init ends at once; at worst nothing limits the wait for it, and proxy inherits that.
        assert_eq!(timeline.start_duration(), Some(Duration::ZERO));
        assert_eq!(timeline.latest_starts[2], LatestStart::Unbounded { on: 0 });
    }
}
