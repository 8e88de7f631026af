//! The state of one service, and how events change it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::breaker::BreakerState;
use super::config::{DeploymentConfig, TimeoutAction};
use super::hooks::HookState;
use super::status::{Stage, Status};
use super::timing::Timing;

/// A point in time, since the Unix epoch.
pub(crate) type Time = Duration;

/// A service, as its scheduler sees it.
#[derive(Debug, Clone)]
pub(crate) struct Scheduler {
    pub(super) desired: u32,
    pub(super) timing: Timing,
    pub(super) tasks: BTreeMap<u64, Task>,
    /// Tasks with scale-in protection: only their ill health stops them.
    pub(super) protected: BTreeSet<u64>,
    /// The revision of the last deployment that completed.
    pub(super) stable: Option<u64>,
    /// The configuration of that deployment, or of the one in progress.
    pub(super) config: DeploymentConfig,
    /// Oldest first; at most one is in progress, the last.
    pub(super) deployments: VecDeque<Deployment>,
    pub(super) retries: BTreeMap<u64, Retry>,
    pub(super) is_steady: bool,
    /// The deployment that no limit lets progress was reported.
    pub(super) is_stuck: bool,
    pub(super) next_task: u64,
    pub(super) next_hook: u64,
}

/// A task of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) revision: u64,
    pub(crate) phase: Phase,
    /// When a task without health check counts as healthy.
    pub(super) settles_at: Option<Time>,
    /// When it became healthy.
    pub(super) healthy_since: Option<Time>,
}

/// The phase of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    /// Running, but not known to be healthy.
    Running,
    Healthy,
    Unhealthy,
    Stopping,
}

/// Consecutive failures of a revision's tasks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Retry {
    pub(super) failures: u32,
    pub(super) not_before: Time,
    pub(super) is_reported: bool,
}

/// A deployment of a revision.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) number: u64,
    pub(crate) target: u64,
    /// The stable revision when it began.
    pub(crate) source: Option<u64>,
    pub(crate) config: DeploymentConfig,
    pub(crate) status: Status,
    pub(crate) reason: Option<String>,
    pub(crate) stage: Stage,
    /// When the traffic of this stage was shifted, or the bake time began.
    pub(super) effect_at: Option<Time>,
    /// Whether the hooks of this stage were created.
    pub(super) has_hooks: bool,
    /// Those of the current stage.
    pub(crate) hooks: Vec<HookState>,
    /// The share of the target revision, in percent.
    pub(crate) production_weight: f64,
    pub(crate) test_weight: f64,
    pub(crate) breaker: BreakerState,
    pub(crate) triggered_alarms: Vec<String>,
    pub(crate) rollback: Option<Rollback>,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) finished_at: Option<Time>,
    pub(crate) stopped_at: Option<Time>,
}

/// The rollback of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollback {
    pub(crate) reason: String,
    pub(crate) started_at: Time,
    pub(crate) revision: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A revision is to be deployed.
    Deploy {
        revision: u64,
        config: DeploymentConfig,
    },
    /// The configuration of later deployments, and the limits of the service, have changed.
    Configure(DeploymentConfig),
    /// The number of tasks has changed.
    Desired(u32),
    /// A task is RUNNING; without health check it counts as healthy after a while.
    Running {
        task: u64,
        is_checked: bool,
    },
    Healthy(u64),
    Unhealthy(u64),
    /// A task has ended on its own, or was stopped by a user.
    Stopping {
        task: u64,
        is_failure: bool,
    },
    Stopped(u64),
    /// There is no capacity for these tasks.
    Refused(Vec<u64>),
    /// The answer to a hook.
    Answer {
        hook: u64,
        action: TimeoutAction,
    },
    /// The deployment is to be rolled back.
    StopDeployment,
    /// These alarms are in the ALARM state.
    Alarms(Vec<String>),
    /// Time has passed.
    Tick,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Start {
        task: u64,
        revision: u64,
    },
    Stop {
        task: u64,
        reason: StopReason,
    },
    /// Report to the service's events.
    Report(Note),
    /// Report to EventBridge.
    Publish {
        revision: u64,
        outcome: Outcome,
        reason: String,
    },
}

/// Why a task is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// It is of no use any more.
    Scaling,
    Unhealthy,
}

/// A message of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    SteadyState,
    Completed {
        revision: u64,
    },
    Failed {
        deployment: u64,
    },
    RollingBack {
        revision: u64,
    },
    Unhealthy {
        task: u64,
    },
    /// Tasks of the revision fail again and again.
    Unstable,
    /// The limits allow neither to start nor to stop a task.
    Stuck,
}

/// A state of a deployment that EventBridge hears of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    InProgress,
    Completed,
    Failed,
}

/// Applies an event and returns what to do.
pub(crate) fn step(state: &mut Scheduler, event: Event, now: Time) -> Vec<Action> {
    let mut actions = Vec::new();
    state.apply(event, now, &mut actions);
    state.settle(now);

    // A stage without hooks and waits passes at once. The stages and traffic steps of a deployment bound the loop.
    while state.advance(now, &mut actions) {}
    state.reconcile(now, &mut actions);
    state.report_steady_state(&mut actions);

    actions
}

impl Scheduler {
    /// Creates a service without tasks.
    pub(crate) fn new(desired: u32, timing: Timing) -> Self {
        Self {
            desired,
            timing,
            tasks: BTreeMap::new(),
            protected: BTreeSet::new(),
            stable: None,
            config: DeploymentConfig::default(),
            deployments: VecDeque::new(),
            retries: BTreeMap::new(),
            is_steady: false,
            is_stuck: false,
            next_task: 1,
            next_hook: 1,
        }
    }

    /// Sets the tasks that are not stopped to scale in or to deploy.
    pub(crate) fn set_protected(&mut self, tasks: BTreeSet<u64>) {
        self.protected = tasks;
    }

    /// Returns the desired count.
    pub(crate) fn desired_count(&self) -> u32 {
        self.desired
    }

    /// Returns the deployments, oldest first.
    pub(crate) fn deployments(&self) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.deployments.iter()
    }

    /// Returns the deployment that is in progress.
    pub(crate) fn current(&self) -> Option<&Deployment> {
        self.deployments
            .back()
            .filter(|deployment| !deployment.status.is_final())
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Deployment> {
        self.deployments
            .back_mut()
            .filter(|deployment| !deployment.status.is_final())
    }

    fn apply(&mut self, event: Event, now: Time, actions: &mut Vec<Action>) {
        match event {
            Event::Deploy { revision, config } => self.deploy(revision, config, now, actions),
            Event::Configure(config) => self.config = config,
            Event::Desired(desired) => {
                // ECS reports a steady state again after each change, not after each update.
                self.is_steady &= self.desired == desired;
                self.desired = desired;
            }
            Event::Running { task, is_checked } => self.record_running(task, is_checked, now),
            Event::Healthy(task) => self.record_healthy(task, now),
            Event::Unhealthy(task) => self.record_unhealthy(task, now, actions),
            Event::Stopping { task, is_failure } => {
                self.record_stopping(task, is_failure, now, actions);
            }
            Event::Stopped(task) => {
                self.tasks.remove(&task);
            }
            Event::Refused(tasks) => self.record_refused(&tasks, now, actions),
            Event::Answer { hook, action } => self.answer(hook, action),
            Event::StopDeployment => {
                self.fail(
                    "Service deployment stopped by the user.",
                    OnFailure::RollBack,
                    now,
                    actions,
                );
            }
            Event::Alarms(names) => self.record_alarms(&names, now, actions),
            Event::Tick => {}
        }
    }

    fn deploy(
        &mut self,
        revision: u64,
        config: DeploymentConfig,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        // ECS carries out one deployment of a service at a time; a newer one ends it.
        if let Some(old) = self.current_mut() {
            old.end(Status::Stopped, now);
            old.stopped_at = Some(now);
            old.reason = Some("Superseded by a newer service deployment.".to_owned());
        }

        let number = self.deployments.back().map_or(1, |last| last.number + 1);
        let deployment = Deployment::new(number, revision, self.stable, config.clone(), now);
        self.config = config;
        self.deployments.push_back(deployment);
        // A service can be deployed any number of times.
        if self.deployments.len() > MAX_DEPLOYMENTS {
            self.deployments.pop_front();
        }

        (self.is_steady, self.is_stuck) = (false, false);
        let stable = self.stable;
        self.retries.retain(|revision, _| Some(*revision) == stable);
        actions.push(Action::Publish {
            revision,
            outcome: Outcome::InProgress,
            reason: "in progress".to_owned(),
        });
    }
}

impl Deployment {
    fn new(
        number: u64,
        target: u64,
        source: Option<u64>,
        config: DeploymentConfig,
        now: Time,
    ) -> Self {
        Self {
            number,
            target,
            source,
            status: Status::InProgress,
            reason: None,
            stage: Stage::Reconcile,
            effect_at: None,
            has_hooks: false,
            hooks: Vec::new(),
            production_weight: 0.0,
            test_weight: 0.0,
            breaker: BreakerState::new(config.breaker),
            config,
            triggered_alarms: Vec::new(),
            rollback: None,
            created_at: now,
            updated_at: now,
            finished_at: None,
            stopped_at: None,
        }
    }

    /// Records the final status.
    pub(super) fn end(&mut self, status: Status, now: Time) {
        self.status = status;
        // Nothing waits for a hook of a deployment that has ended.
        (self.finished_at, self.updated_at) = (Some(now), now);
        self.hooks.clear();
    }
}

/// What a failed deployment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    RollBack,
    Stop,
}

impl OnFailure {
    pub(super) fn from_setting(rolls_back: bool) -> Self {
        if rolls_back {
            Self::RollBack
        } else {
            Self::Stop
        }
    }
}

/// The oldest deployments are forgotten.
const MAX_DEPLOYMENTS: usize = 100;
