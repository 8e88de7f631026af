//! The life of a task as a pure state machine: no clock, no processes, no I/O.
//!
//! [`step`] takes the state, one event and the time, and gives the next state, what to do about it
//! and when to call again at the latest. Time is what has passed since the task began.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | what the machine needs to know of a task definition |
//! | `words` | events, actions, changes |
//! | `dependency` | when a container may start, or never will |
//! | `health` | the health check, probe by probe |
//! | `ending` | exits, restarts, and stopping in reverse order |

mod dependency;
mod ending;
mod health;
mod spec;
mod words;

#[cfg(test)]
mod properties;

use std::sync::Arc;
use std::time::Duration;

pub use dependency::Verdict;
pub use spec::{Condition, Container, HealthCheck, Need, RestartPolicy, Spec, SpecError};
pub use words::{
    Action, Change, Event, ExitCode, Health, Outcome, Stop, StopCode, TaskStatus, UNRESOLVED,
};

/// Moves the task on by one event: the new state, what to do now, and when to come back.
///
/// Without a deadline only an event can change anything. Calling early, late or with
/// [`Event::Tick`] is always allowed; time never runs backwards.
pub fn step(
    mut state: State,
    event: Event,
    now: Duration,
) -> (State, Vec<Action>, Option<Duration>) {
    let mut actions = Vec::new();
    state.take(event, now, &mut actions);
    state.settle(now, &mut actions);
    let deadline = state.deadline();
    (state, actions, deadline)
}

/// Everything known about a task at one moment.
#[derive(Debug, Clone)]
pub struct State {
    spec: Arc<Spec>,
    members: Vec<Member>,
    status: TaskStatus,
    stop: Option<Stop>,
    haste: Haste,
    /// When Spot takes everything away, whoever still needs time.
    taken_at: Option<Duration>,
}

/// What is known of one container.
#[derive(Debug, Clone, Default)]
struct Member {
    phase: Phase,
    /// How often it has been running: told apart by probes that outlive a restart.
    run: u32,
    /// When it first ran; `startTimeout` and the restart policy count from here.
    first_run: Option<Duration>,
    /// When it last came to run; health checks count from here.
    last_run: Duration,
    last_restart: Option<Duration>,
    restarts: u32,
    /// It was told to stop in order to be started again.
    replacing: bool,
    exit: Option<ExitCode>,
    reason: Option<String>,
    probes: health::Probes,
}

/// Where a container is in its life.
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

/// Whether stopping keeps the order and the stop timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    InOrder,
    AtOnce,
}

/// What an outsider sees of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// The container's name.
    pub name: &'a str,
    /// What ECS would report: pending, running or stopped.
    pub status: TaskStatus,
    /// Its health by its own check.
    pub health: Health,
    /// Its exit code, once stopped and known.
    pub exit: Option<ExitCode>,
    /// Why it stopped, in ECS's words, where there is more to say than the code.
    pub reason: Option<&'a str>,
    /// How often its restart policy brought it back.
    pub restarts: u32,
    /// Which run this is, or was: probes say which they belong to.
    pub run: u32,
    /// When it would be killed, while it is being stopped.
    pub kill_at: Option<Duration>,
}

impl State {
    /// A task in which nothing has happened yet; the first [`step`] starts what can start.
    pub fn new(spec: Spec) -> Self {
        let members = vec![Member::default(); spec.containers.len()];
        Self {
            spec: Arc::new(spec),
            members,
            status: TaskStatus::Pending,
            stop: None,
            haste: Haste::InOrder,
            taken_at: None,
        }
    }

    /// The task's status as ECS reports it.
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// Why the task is stopping or has stopped.
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// What the machine was told of the task.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// One container as an outsider sees it.
    pub fn view(&self, container: usize) -> Option<View<'_>> {
        let (spec, member) = (
            self.spec.containers.get(container)?,
            self.members.get(container)?,
        );

        Some(View {
            name: &spec.name,
            status: member.known(),
            health: member.probes.health(),
            exit: member.exit,
            reason: member.reason.as_deref(),
            restarts: member.restarts,
            run: member.run,
            kill_at: match member.phase {
                Phase::Stopping { kill_at } => kill_at,
                _ => None,
            },
        })
    }

    /// The task's health: unhealthy when one essential container is, healthy when every essential
    /// container that has a check passes it.
    pub fn health(&self) -> Health {
        let mut checked = (self.spec.containers.iter().zip(&self.members))
            .filter(|(spec, _)| spec.essential && spec.health.is_some())
            .map(|(_, member)| member.probes.health())
            .peekable();
        if checked.peek().is_none() {
            return Health::Unknown;
        }
        checked.fold(Health::Healthy, Health::worse)
    }

    fn take(&mut self, event: Event, now: Duration, actions: &mut Vec<Action>) {
        match event {
            Event::Spawned { container } => self.spawned(container, now, actions),
            Event::SpawnFailed { container, reason } => {
                self.end(container, None, Some(reason), actions);
            }
            Event::Exited {
                container,
                code,
                out_of_memory,
            } => {
                self.exited(container, code, out_of_memory, now, actions);
            }
            Event::Probed {
                container,
                run,
                began,
                outcome,
            } => {
                self.probed(container, run, began, outcome, now, actions);
            }
            Event::StopRequested { code, reason } => {
                if code == StopCode::SpotInterruption {
                    self.taken_at.get_or_insert(now + SPOT);
                }
                self.begin_stop(code, reason, None, actions);
            }
            Event::ReplaceRequested { container } => self.replace(container, now, actions),
            Event::KillRequested { reason } => {
                self.begin_stop(StopCode::UserInitiated, reason, None, actions);
                self.haste = Haste::AtOnce;
            }
            Event::Tick => {}
        }
    }

    fn spawned(&mut self, container: usize, now: Duration, actions: &mut Vec<Action>) {
        let Some((spec, member)) = self.pair(container) else {
            return;
        };
        if member.phase != Phase::Starting {
            return;
        }

        member.phase = Phase::Running;
        member.run += 1;
        member.first_run.get_or_insert(now);
        member.last_run = now;
        member.probes = health::Probes::begin(spec.health.as_ref(), now);

        actions.push(Action::Publish(Change::Running {
            container,
            run: member.run,
        }));
    }

    /// Follows every consequence until nothing moves; each round says something, so it ends.
    fn settle(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.taken_at.is_some_and(|at| at <= now) {
            self.haste = Haste::AtOnce;
        }
        loop {
            let before = actions.len();
            self.stop_when_an_essential_ended(actions);
            if self.stop.is_some() {
                self.advance_stop(now, actions);
            } else {
                self.advance_start(now, actions);
            }

            if actions.len() == before {
                break;
            }
        }

        self.begin_probes(now, actions);
        self.kill_overdue(now, actions);
        self.publish_status(actions);
    }

    fn publish_status(&mut self, actions: &mut Vec<Action>) {
        let every = |test: fn(&Member) -> bool| self.members.iter().all(test);
        let next = if every(|m| m.phase == Phase::Stopped) {
            TaskStatus::Stopped
        } else if self.stop.is_none() && every(|m| m.known() != TaskStatus::Pending) {
            TaskStatus::Running
        } else {
            return;
        };

        if next > self.status {
            self.status = next;
            actions.push(Action::Publish(Change::Task(next)));
        }
    }

    fn deadline(&self) -> Option<Duration> {
        if self.status == TaskStatus::Stopped {
            return None;
        }

        let kills = self.members.iter().filter_map(|member| match member.phase {
            Phase::Stopping { kill_at } => kill_at,
            _ => None,
        });
        let probes = (self.members.iter())
            .filter(|member| member.phase == Phase::Running)
            .filter_map(|member| member.probes.due());
        let taken = self.taken_at.filter(|_| self.haste == Haste::InOrder);
        let stop = kills.chain(taken);

        stop.chain(probes).chain(self.start_deadlines()).min()
    }

    fn pair(&mut self, container: usize) -> Option<(&Container, &mut Member)> {
        Some((
            self.spec.containers.get(container)?,
            self.members.get_mut(container)?,
        ))
    }
}

impl Member {
    /// What ECS reports: a container that its policy restarts never leaves running.
    fn known(&self) -> TaskStatus {
        match self.phase {
            Phase::Stopped => TaskStatus::Stopped,
            _ if self.first_run.is_some() => TaskStatus::Running,
            _ => TaskStatus::Pending,
        }
    }
}

/// From the warning of Spot to the end, for the whole task (Fargate developer guide, "Termination notices").
const SPOT: Duration = Duration::from_mins(2);
