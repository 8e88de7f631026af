//! The lifecycle of a task as a pure state machine: no clock, no processes, no I/O.
//!
//! [`step`] takes the state, an event and the time. It returns the next state, the actions to perform, and the
//! deadline of the next call. Time is the duration since the start of the task.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | the parts of a task definition that the machine uses |
//! | `event` | events, actions, changes |
//! | `dependency` | when a container can start, and when it never can |
//! | `health` | the health check, probe by probe |
//! | `stop` | exits, restarts, and the stop in reverse order |

mod dependency;
mod event;
mod health;
mod spec;
mod stop;

#[cfg(test)]
mod properties;

use std::sync::Arc;
use std::time::Duration;

pub use dependency::Readiness;
pub use event::{
    Action, Change, Event, ExitCode, Health, Outcome, Stop, StopCode, TaskStatus, UNRESOLVED,
};
pub use spec::{Condition, Container, Dependency, HealthCheck, RestartPolicy, Spec, SpecError};

/// Advances the task by one event and returns the new state, the actions to perform, and the next deadline.
///
/// Without a deadline, only an event can change the state. Calling early, late or with [`Event::Tick`] is
/// always allowed; time must not run backwards.
pub fn step(
    mut state: State,
    event: Event,
    now: Duration,
) -> (State, Vec<Action>, Option<Duration>) {
    let mut actions = Vec::new();
    state.apply(event, now, &mut actions);
    state.settle(now, &mut actions);
    let deadline = state.deadline();
    (state, actions, deadline)
}

/// The state of a task at one moment.
#[derive(Debug, Clone)]
pub struct State {
    spec: Arc<Spec>,
    containers: Vec<ContainerState>,
    status: TaskStatus,
    stop: Option<Stop>,
    stop_mode: StopMode,
    /// When Spot kills every container that is still running.
    spot_deadline: Option<Duration>,
}

/// The state of one container.
#[derive(Debug, Clone, Default)]
struct ContainerState {
    phase: Phase,
    /// Counts the runs; a probe result from an earlier run is recognized by it.
    run: u32,
    /// When it first ran; `startTimeout` counts from here, and the restart policy until the first restart.
    first_run: Option<Duration>,
    /// When the current run began; health checks count from here.
    last_run: Duration,
    last_restart: Option<Duration>,
    restarts: u32,
    /// It was asked to stop in order to be started again.
    replacing: bool,
    exit: Option<ExitCode>,
    reason: Option<String>,
    probes: health::Probes,
}

/// The phase of a container's lifecycle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    Starting,
    Running,
    Stopping {
        kill_at: Option<Duration>,
    },
    Stopped,
}

/// How a task stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopMode {
    /// In reverse dependency order, each container with its stop timeout.
    Ordered,
    /// All containers are killed at once.
    Immediate,
}

/// The externally visible state of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// The container's name.
    pub name: &'a str,
    /// The status ECS reports.
    pub status: TaskStatus,
    /// The result of its health check.
    pub health: Health,
    /// Its exit code, once it has stopped and the code is known.
    pub exit: Option<ExitCode>,
    /// The `reason` as ECS words it, if the exit code alone does not say it.
    pub reason: Option<&'a str>,
    /// How often its restart policy restarted it.
    pub restarts: u32,
    /// The number of the current or last run; probes name the run they belong to.
    pub run: u32,
    /// When it will be killed, while it is stopping.
    pub kill_at: Option<Duration>,
}

impl State {
    /// Creates a task in which nothing has happened; the first [`step`] starts what can start.
    pub fn new(spec: Spec) -> Self {
        let containers = vec![ContainerState::default(); spec.containers.len()];
        Self {
            spec: Arc::new(spec),
            containers,
            status: TaskStatus::Pending,
            stop: None,
            stop_mode: StopMode::Ordered,
            spot_deadline: None,
        }
    }

    /// Returns the task status as ECS reports it.
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// Returns why the task is stopping or has stopped.
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// Returns the spec the task was created from.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Returns the externally visible state of a container.
    pub fn view(&self, container: usize) -> Option<View<'_>> {
        let (spec, state) = (
            self.spec.containers.get(container)?,
            self.containers.get(container)?,
        );

        Some(View {
            name: &spec.name,
            status: state.reported_status(),
            health: state.probes.health(),
            exit: state.exit,
            reason: state.reason.as_deref(),
            restarts: state.restarts,
            run: state.run,
            kill_at: match state.phase {
                Phase::Stopping { kill_at } => kill_at,
                _ => None,
            },
        })
    }

    /// Returns the health of the task.
    ///
    /// Unhealthy if one essential container is; healthy if every essential container with a check is healthy.
    pub fn health(&self) -> Health {
        let mut checked = (self.spec.containers.iter().zip(&self.containers))
            .filter(|(spec, _)| spec.essential && spec.health.is_some())
            .map(|(_, state)| state.probes.health())
            .peekable();

        // Without an essential container that has a check, ECS reports UNKNOWN, not HEALTHY.
        if checked.peek().is_none() {
            return Health::Unknown;
        }
        checked.fold(Health::Healthy, Health::worse)
    }

    fn apply(&mut self, event: Event, now: Duration, actions: &mut Vec<Action>) {
        match event {
            Event::Spawned { container } => self.record_spawn(container, now, actions),
            Event::SpawnFailed { container, reason } => {
                self.end(container, None, Some(reason), actions);
            }
            Event::Exited {
                container,
                code,
                out_of_memory,
            } => {
                self.record_exit(container, code, out_of_memory, now, actions);
            }
            Event::Probed {
                container,
                run,
                began,
                outcome,
            } => {
                self.record_probe(container, run, began, outcome, now, actions);
            }
            Event::StopRequested { code, reason } => {
                if code == StopCode::SpotInterruption {
                    // The notice period counts from the first warning, even if a stop is already under way.
                    self.spot_deadline.get_or_insert(now + SPOT_NOTICE);
                }
                self.begin_stop(code, reason, None, actions);
            }
            Event::ReplaceRequested { container } => self.replace(container, now, actions),
            Event::KillRequested { reason } => {
                // Recorded as the reason only if no stop is under way yet; the mode changes in any case.
                self.begin_stop(StopCode::UserInitiated, reason, None, actions);
                self.stop_mode = StopMode::Immediate;
            }
            Event::Tick => {}
        }
    }

    fn record_spawn(&mut self, container: usize, now: Duration, actions: &mut Vec<Action>) {
        let Some((spec, state)) = self.pair(container) else {
            return;
        };
        // A late answer: the container was killed or has already exited.
        if state.phase != Phase::Starting {
            return;
        }

        state.phase = Phase::Running;
        state.run += 1;
        // Only the first run counts for `startTimeout`; later runs must not extend it.
        state.first_run.get_or_insert(now);
        state.last_run = now;
        state.probes = health::Probes::begin(spec.health.as_ref(), now);

        actions.push(Action::Publish(Change::Running {
            container,
            run: state.run,
        }));
    }

    /// Applies rules until no action follows. Every round adds an action or ends the loop, so it terminates.
    fn settle(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.spot_deadline.is_some_and(|at| at <= now) {
            self.stop_mode = StopMode::Immediate;
        }
        loop {
            let before = actions.len();
            self.stop_on_essential_exit(actions);
            // The order matters: an essential exit must stop the task before anything else starts.
            if self.stop.is_some() {
                self.advance_stop(now, actions);
            } else {
                self.advance_start(now, actions);
            }

            if actions.len() == before {
                break;
            }
        }

        // After the loop, so that a container killed above is not probed and a probe sees the final phase.
        self.begin_probes(now, actions);
        self.kill_overdue(now, actions);
        self.publish_status(actions);
    }

    fn publish_status(&mut self, actions: &mut Vec<Action>) {
        let every = |test: fn(&ContainerState) -> bool| self.containers.iter().all(test);
        let next = if every(|state| state.phase == Phase::Stopped) {
            TaskStatus::Stopped
        } else if self.stop.is_none()
            && every(|state| state.reported_status() != TaskStatus::Pending)
        {
            TaskStatus::Running
        } else {
            return;
        };

        // The status only moves forward, as in ECS: a restart does not return a task to PENDING.
        if next > self.status {
            self.status = next;
            actions.push(Action::Publish(Change::Task(next)));
        }
    }

    fn deadline(&self) -> Option<Duration> {
        if self.status == TaskStatus::Stopped {
            return None;
        }

        let kills = self
            .containers
            .iter()
            .filter_map(|state| match state.phase {
                Phase::Stopping { kill_at } => kill_at,
                _ => None,
            });
        let probes = (self.containers.iter())
            .filter(|state| state.phase == Phase::Running)
            .filter_map(|state| state.probes.due());
        let notice_end = self
            .spot_deadline
            .filter(|_| self.stop_mode == StopMode::Ordered);
        let stop = kills.chain(notice_end);

        stop.chain(probes).chain(self.start_deadlines()).min()
    }

    fn pair(&mut self, container: usize) -> Option<(&Container, &mut ContainerState)> {
        Some((
            self.spec.containers.get(container)?,
            self.containers.get_mut(container)?,
        ))
    }
}

impl ContainerState {
    /// Returns the status ECS reports: a container restarted by its policy stays `RUNNING`.
    fn reported_status(&self) -> TaskStatus {
        match self.phase {
            Phase::Stopped => TaskStatus::Stopped,
            _ if self.first_run.is_some() => TaskStatus::Running,
            _ => TaskStatus::Pending,
        }
    }
}

/// The notice before Spot reclaims a task (Fargate developer guide, "Termination notices").
const SPOT_NOTICE: Duration = Duration::from_mins(2);
