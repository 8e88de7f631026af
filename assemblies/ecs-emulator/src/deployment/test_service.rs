//! A simulated service: what its tasks do depends on their revision.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::DeploymentConfig;
use super::scheduler::{Action, Event, Note, Outcome, Phase, Scheduler, Time, step};
use super::status::Status;
use super::timing::Timing;

/// What the tasks of a revision do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Becomes healthy this many seconds after its start.
    Works(u64),
    /// Exits this many seconds after its start.
    Exits(u64),
    /// Runs, and becomes unhealthy.
    FailsChecks,
}

/// The simulation; time passes in steps of a second.
pub(super) struct TestService {
    pub(super) scheduler: Scheduler,
    pub(super) now: Time,
    pub(super) behaviours: BTreeMap<u64, Behaviour>,
    /// Start and stop time of each task.
    tasks: BTreeMap<u64, (u64, Time, Option<Time>)>,
    pub(super) notes: Vec<Note>,
    pub(super) outcomes: Vec<Outcome>,
    /// The number of tasks started since the last look.
    pub(super) started: usize,
}

impl TestService {
    pub(super) fn new(desired: u32) -> Self {
        Self {
            scheduler: Scheduler::new(desired, Timing::new(1.0)),
            now: Duration::from_secs(1000),
            behaviours: BTreeMap::new(),
            tasks: BTreeMap::new(),
            notes: Vec::new(),
            outcomes: Vec::new(),
            started: 0,
        }
    }

    /// Creates a service with a first revision that runs.
    pub(super) fn steady(desired: u32, config: &DeploymentConfig) -> Self {
        let mut service = Self::new(desired);
        service.deploy(1, Behaviour::Works(1), config);
        service.run_for(10);
        assert!(
            service.notes.contains(&Note::SteadyState),
            "{:?}",
            service.scheduler
        );
        service.notes.clear();
        service.outcomes.clear();
        service
    }

    pub(super) fn deploy(
        &mut self,
        revision: u64,
        behaviour: Behaviour,
        config: &DeploymentConfig,
    ) {
        self.behaviours.insert(revision, behaviour);
        let config = config.clone();
        self.send(Event::Deploy { revision, config });
    }

    pub(super) fn send(&mut self, event: Event) {
        for action in step(&mut self.scheduler, event, self.now) {
            match action {
                Action::Start { task, revision } => {
                    self.started += 1;
                    self.tasks.insert(task, (revision, self.now, None));
                }
                Action::Stop { task, .. } => {
                    if let Some(entry) = self.tasks.get_mut(&task) {
                        entry.2 = Some(self.now);
                    }
                }
                Action::Report(note) => self.notes.push(note),
                Action::Publish { outcome, .. } => self.outcomes.push(outcome),
            }
        }
    }

    pub(super) fn run_for(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second();
        }
    }

    /// Lets a second pass.
    pub(super) fn second(&mut self) {
        self.now += Duration::from_secs(1);
        for (task, (revision, started, stopped)) in self.tasks.clone() {
            // Each task takes a second to stop.
            if stopped.is_some() {
                self.tasks.remove(&task);
                self.send(Event::Stopped(task));
                continue;
            }

            let age = self.now.saturating_sub(started).as_secs();
            match self.behaviours[&revision] {
                // Health checks of the task pass at once.
                Behaviour::Works(delay) if age == delay => {
                    self.send(Event::Running {
                        task,
                        is_checked: true,
                    });
                    self.send(Event::Healthy(task));
                }
                Behaviour::Exits(delay) if age == delay => {
                    self.tasks.remove(&task);
                    self.send(Event::Stopping {
                        task,
                        is_failure: true,
                    });
                    self.send(Event::Stopped(task));
                }
                Behaviour::FailsChecks if age == 1 => {
                    self.send(Event::Running {
                        task,
                        is_checked: true,
                    });
                }
                Behaviour::FailsChecks if age == 3 => self.send(Event::Unhealthy(task)),
                _ => {}
            }
        }

        self.send(Event::Tick);
    }

    /// Returns how many tasks are not being stopped, and how many of them are healthy.
    pub(super) fn counts(&self) -> (u32, u32) {
        let tasks = || self.scheduler.tasks.values();
        let active = tasks().filter(|task| task.phase != Phase::Stopping).count();
        let healthy = tasks().filter(|task| task.phase == Phase::Healthy).count();
        (active as u32, healthy as u32)
    }

    /// Returns the revisions of the tasks.
    pub(super) fn revisions(&self) -> Vec<u64> {
        let tasks = self.scheduler.tasks.values();
        tasks.map(|task| task.revision).collect()
    }

    pub(super) fn status(&self) -> Status {
        self.scheduler
            .deployments()
            .next_back()
            .map_or(Status::Pending, |last| last.status)
    }

    /// Returns the share of production traffic of the new revision, in tenths of a percent.
    pub(super) fn production(&self) -> u32 {
        let last = self.scheduler.deployments().next_back();
        let weight = last.map_or(0.0, |last| last.production_weight);
        (weight * 10.0).round() as u32
    }
}
