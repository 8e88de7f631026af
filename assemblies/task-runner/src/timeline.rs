//! The life of a task with nothing run: how long it takes to start and to stop, at best and at worst.
//!
//! The machine is played through as if every program came up at once and every probe passed, and then as
//! if everybody needed the whole of its `stopTimeout`. So a timeline says what `up` would do, and what
//! Fargate does.

use std::collections::VecDeque;
use std::time::Duration;

use crate::machine::{
    Action, Change, Condition, Event, Health, Outcome, Spec, State, StopCode, TaskStatus, step,
};

/// The start and the stop of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// From the first container to a task that runs and is healthy: programs come up at once, probes pass,
    /// and what has to end before others start ends at once.
    pub start: Vec<Moment>,
    /// From the request to stop to the last exit: everybody is killed at the end of its `stopTimeout`.
    pub stop: Vec<Moment>,
    /// The latest time at which each container starts, if anybody waits for as long as `startTimeout` lets it.
    pub latest: Vec<Latest>,
}

/// Something that happens, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Since the beginning.
    pub at: Duration,
    /// What.
    pub change: Change,
}

/// How late a container can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latest {
    /// Not after this.
    At(Duration),
    /// Nothing ends the wait for this container, which has no `startTimeout`.
    Never {
        /// Whom it, or what it depends on, waits for.
        on: usize,
    },
}

impl Timeline {
    /// Plays a task through.
    pub fn of(spec: &Spec) -> Self {
        let mut play = Play::new(spec);
        play.happen(Event::Tick);
        play.until(|state| state.status() == TaskStatus::Running && settled(state));

        let start = std::mem::take(&mut play.moments);
        play.stop();
        Self {
            start,
            stop: play.moments,
            latest: (0..spec.containers.len())
                .map(|one| latest(spec, one))
                .collect(),
        }
    }

    /// How long the start takes at best; none when it never comes to an end.
    pub fn started(&self) -> Option<Duration> {
        let running = |one: &Moment| one.change == Change::Task(TaskStatus::Running);
        self.start.iter().find(|one| running(one)).map(|one| one.at)
    }

    /// How long the stop takes at worst.
    pub fn stopped(&self) -> Duration {
        self.stop.last().map(|one| one.at).unwrap_or_default()
    }
}

/// Whether every check there is has come to a good verdict.
fn settled(state: &State) -> bool {
    let checked = state.spec().containers.iter().enumerate();
    let mut checked = checked.filter(|(_, one)| one.health.is_some());
    checked.all(|(index, _)| {
        let view = state.view(index);
        view.is_none_or(|view| view.status == TaskStatus::Stopped || view.health == Health::Healthy)
    })
}

/// A world in which nothing takes time but what the definition says.
struct Play {
    state: State,
    now: Duration,
    deadline: Option<Duration>,
    /// What the world answers next.
    answers: VecDeque<Event>,
    moments: Vec<Moment>,
    /// Containers that others wait to see end.
    ends: Vec<bool>,
}

impl Play {
    fn new(spec: &Spec) -> Self {
        let waited_for = |index: usize| {
            let mut needs = spec.containers.iter().flat_map(|one| &one.depends_on);
            needs.any(|need| {
                need.on == index
                    && matches!(need.condition, Condition::Complete | Condition::Success)
            })
        };

        Self {
            state: State::new(spec.clone()),
            now: Duration::ZERO,
            deadline: None,
            answers: VecDeque::new(),
            moments: Vec::new(),
            ends: (0..spec.containers.len()).map(waited_for).collect(),
        }
    }

    /// Lets the machine take an event, and everything that follows from it at this moment.
    fn happen(&mut self, event: Event) {
        self.answers.push_back(event);
        while let Some(event) = self.answers.pop_front() {
            let (state, actions, deadline) = step(self.state.clone(), event, self.now);
            (self.state, self.deadline) = (state, deadline);
            for action in actions {
                self.answer(action);
            }
        }
    }

    fn answer(&mut self, action: Action) {
        match action {
            Action::Spawn { container } => {
                self.answers.push_back(Event::Spawned { container });
                if self.ends[container] {
                    self.answers.push_back(exit(container, 0));
                }
            }
            Action::Probe { container, run, .. } => self.answers.push_back(Event::Probed {
                container,
                run,
                began: self.now,
                outcome: Outcome::Passed,
            }),
            Action::Kill { container } => self.answers.push_back(exit(container, 137)),
            // Nobody listens, so that the whole of its time passes.
            Action::Terminate { .. } => {}
            Action::Publish(change) => self.moments.push(Moment {
                at: self.now,
                change,
            }),
        }
    }

    /// Goes from deadline to deadline.
    fn until(&mut self, over: impl Fn(&State) -> bool) {
        // A check needs one probe at most, a stop one deadline; more steps than that lead nowhere.
        let steps = 4 * (self.ends.len() + 1);
        for _ in 0..steps {
            let Some(next) = self.deadline.filter(|_| !over(&self.state)) else {
                return;
            };
            self.now = self.now.max(next);
            self.happen(Event::Tick);
        }
    }

    /// The stop, counted from its beginning.
    fn stop(&mut self) {
        let began = self.now;
        self.happen(Event::StopRequested {
            code: StopCode::UserInitiated,
            reason: "Task stopped by user".to_owned(),
        });
        self.until(|state| state.status() == TaskStatus::Stopped);

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

/// When the last of its conditions holds at the latest. A circle is no [`Spec`].
fn latest(spec: &Spec, container: usize) -> Latest {
    let mut at = Duration::ZERO;
    for need in &spec.containers[container].depends_on {
        let began = match latest(spec, need.on) {
            Latest::At(began) => began,
            never @ Latest::Never { .. } => return never,
        };

        let wait = match (need.condition, spec.containers[need.on].start_timeout) {
            (Condition::Start, _) => Duration::ZERO,
            (_, Some(limit)) => limit,
            (_, None) => return Latest::Never { on: need.on },
        };
        at = at.max(began + wait);
    }

    Latest::At(at)
}

#[cfg(test)]
mod tests {
    use task_definition::read;
    use task_definition::source::Source;

    use super::*;

    fn timeline(containers: &str) -> (Spec, Timeline) {
        let text = format!("{{\"family\": \"f\", \"containerDefinitions\": [{containers}]}}");
        let definition = read(&Source::new("f.json", text)).unwrap().definition;
        let spec = Spec::read(&definition).unwrap();
        let timeline = Timeline::of(&spec);
        (spec, timeline)
    }

    const CHECK: &str = r#""healthCheck": {"command": ["CMD", "/p"], "interval": 7}"#;

    #[test]
    fn a_chain_of_healthy_edges_costs_an_interval_each() {
        let (_, timeline) = timeline(&format!(
            r#"{{"name": "a", "image": "a", "startTimeout": 20, {CHECK}}},
               {{"name": "b", "image": "b", "startTimeout": 30, {CHECK}, "dependsOn": [{{"containerName": "a", "condition": "HEALTHY"}}]}},
               {{"name": "c", "image": "c", "dependsOn": [{{"containerName": "b", "condition": "HEALTHY"}}]}}"#
        ));
        assert_eq!(timeline.started(), Some(Duration::from_secs(14)));
        let latest = [0, 20, 50].map(|at| Latest::At(Duration::from_secs(at)));
        assert_eq!(timeline.latest, latest);
    }

    #[test]
    fn a_stop_takes_the_longest_path_at_worst() {
        let (spec, timeline) = timeline(
            r#"{"name": "app", "image": "a", "stopTimeout": 40},
               {"name": "proxy", "image": "p", "stopTimeout": 10, "dependsOn": [{"containerName": "app", "condition": "START"}]},
               {"name": "alone", "image": "x", "stopTimeout": 45}"#,
        );
        assert_eq!(timeline.stopped(), Duration::from_secs(50));
        assert_eq!(timeline.stopped(), spec.longest_stop());
    }

    #[test]
    fn a_wait_without_a_limit_has_no_latest_end() {
        let (_, timeline) = timeline(
            r#"{"name": "init", "image": "i", "essential": false},
               {"name": "app", "image": "a", "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]},
               {"name": "proxy", "image": "p", "dependsOn": [{"containerName": "app", "condition": "START"}]}"#,
        );
        assert_eq!(timeline.started(), Some(Duration::ZERO));
        assert_eq!(timeline.latest[2], Latest::Never { on: 0 });
    }
}
