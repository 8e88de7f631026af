//! Which tasks to start and to stop.

use super::batch::{Counts, Limits};
use super::config::Strategy;
use super::scheduler::{Action, Note, Phase, Scheduler, StopReason, Task, Time};
use super::status::{Stage, Status};

/// The tasks that a service wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// All tasks are of this revision; others are replaced in batches.
    Replace(u64),
    /// Both revisions have all their tasks.
    Both {
        source: Option<u64>,
        target: Option<u64>,
    },
    /// Nothing is started (a failed deployment).
    Frozen,
}

impl Scheduler {
    /// Starts and stops tasks.
    pub(super) fn reconcile(&mut self, now: Time, actions: &mut Vec<Action>) {
        match self.goal() {
            Goal::Replace(revision) => self.replace_others(revision, now, actions),
            Goal::Both { source, target } => self.keep_both(source, target, now, actions),
            Goal::Frozen if self.desired == 0 => self.stop_where(|_| true, usize::MAX, actions),
            Goal::Frozen => {}
        }
    }

    fn goal(&self) -> Goal {
        let Some(deployment) = self.deployments.back() else {
            return Goal::Frozen;
        };

        let (source, target) = (deployment.source, deployment.target);
        let is_rolling = deployment.config.strategy == Strategy::Rolling;

        match deployment.status {
            // Between deployments the service keeps the revision that completed last.
            Status::Successful | Status::RollbackSuccessful => {
                self.stable.map_or(Goal::Frozen, Goal::Replace)
            }
            Status::InProgress if is_rolling && deployment.stage > Stage::PreScaleUp => {
                Goal::Replace(target)
            }
            Status::InProgress if deployment.stage == Stage::CleanUp => Goal::Replace(target),
            Status::InProgress if deployment.stage > Stage::PreScaleUp => Goal::Both {
                source,
                target: Some(target),
            },
            // Before the scale-up the service keeps its tasks; a rollback returns to them.
            Status::InProgress | Status::RollbackInProgress if is_rolling => {
                source.map_or(Goal::Frozen, Goal::Replace)
            }
            Status::InProgress | Status::RollbackInProgress => Goal::Both {
                source,
                target: None,
            },
            _ => Goal::Frozen,
        }
    }

    fn replace_others(&mut self, revision: u64, now: Time, actions: &mut Vec<Action>) {
        let (minimum, maximum) = (
            self.config.minimum_healthy_percent,
            self.config.maximum_percent,
        );

        let limits = Limits::new(self.desired, minimum, maximum);
        let batch = limits.batch(self.counts(revision));

        let is_useless = move |task: &Task| {
            task.phase == Phase::Unhealthy
                || (task.revision != revision && task.phase != Phase::Healthy)
        };

        // Tasks that serve no request go first; stopping them costs nothing.
        self.stop_where(is_useless, batch.stop_useless as usize, actions);
        let is_other = move |task: &Task| task.revision != revision && task.phase == Phase::Healthy;
        self.stop_where(is_other, batch.stop_other as usize, actions);
        self.stop_surplus(revision, batch.stop_target as usize, actions);
        self.start(revision, batch.start, now, actions);

        // Reported when it begins, not in each step.
        if batch.is_stuck && !self.is_stuck {
            actions.push(Action::Report(Note::Stuck));
        }

        self.is_stuck = batch.is_stuck;
    }

    fn counts(&self, revision: u64) -> Counts {
        let mut counts = Counts::default();
        for task in self.tasks.values() {
            let is_target = task.revision == revision;
            match task.phase {
                Phase::Stopping => {}
                Phase::Healthy if is_target => {
                    counts.target += 1;
                    counts.target_healthy += 1;
                }
                Phase::Healthy => counts.other_healthy += 1,
                Phase::Pending | Phase::Running if is_target => counts.target += 1,
                Phase::Pending | Phase::Running | Phase::Unhealthy => counts.useless += 1,
            }
        }

        counts
    }

    fn keep_both(
        &mut self,
        source: Option<u64>,
        target: Option<u64>,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        let kept = [source, target];
        // A third revision is left over from a deployment that was replaced.
        let is_other = move |task: &Task| !kept.contains(&Some(task.revision));
        self.stop_where(is_other, usize::MAX, actions);
        // Blue/green has room for both revisions, so an unhealthy task need not wait for its replacement.
        self.stop_where(|task| task.phase == Phase::Unhealthy, usize::MAX, actions);

        let mut revisions: Vec<u64> = kept.into_iter().flatten().collect();
        revisions.dedup();
        for revision in revisions {
            let count = self.counts(revision).target;
            self.stop_surplus(
                revision,
                count.saturating_sub(self.desired) as usize,
                actions,
            );
            self.start(revision, self.desired.saturating_sub(count), now, actions);
        }
    }

    fn start(&mut self, revision: u64, count: u32, now: Time, actions: &mut Vec<Action>) {
        let retry = self.retries.get(&revision);
        // The revision has failed; the next attempt is later.
        if retry.is_some_and(|retry| retry.not_before > now) {
            return;
        }

        // The rest starts with the next event. Without a limit one call could create thousands of processes.
        for _ in 0..count.min(MAX_STARTS) {
            let task = Task {
                revision,
                phase: Phase::Pending,
                settles_at: None,
                healthy_since: None,
            };
            let number = self.next_task;
            self.next_task += 1;
            self.tasks.insert(number, task);
            self.is_steady = false;
            actions.push(Action::Start {
                task: number,
                revision,
            });
        }
    }

    /// Stops tasks of a revision: first those that are not healthy, then the oldest.
    fn stop_surplus(&mut self, revision: u64, count: usize, actions: &mut Vec<Action>) {
        let before = actions.len();
        let is_unready = move |task: &Task| {
            task.revision == revision && matches!(task.phase, Phase::Pending | Phase::Running)
        };
        // A task that serves requests is worth more than one that starts.
        self.stop_where(is_unready, count, actions);
        let rest = count - (actions.len() - before);
        self.stop_where(move |task| task.revision == revision, rest, actions);
    }

    /// Stops at most `limit` tasks, the oldest first.
    fn stop_where(
        &mut self,
        test: impl Fn(&Task) -> bool,
        limit: usize,
        actions: &mut Vec<Action>,
    ) {
        let protected = &self.protected;
        let can_stop = |number: u64, task: &Task| match task.phase {
            Phase::Stopping => false,
            Phase::Unhealthy => true,
            _ => !protected.contains(&number),
        };

        let tasks = self.tasks.iter_mut();
        let chosen = tasks.filter(|(number, task)| can_stop(**number, task) && test(task));

        for (number, task) in chosen.take(limit) {
            let reason = match task.phase {
                Phase::Unhealthy => StopReason::Unhealthy,
                _ => StopReason::Scaling,
            };
            task.phase = Phase::Stopping;
            actions.push(Action::Stop {
                task: *number,
                reason,
            });
        }
    }

    /// Reports that all tasks are healthy and none is left to stop, once.
    pub(super) fn report_steady_state(&mut self, actions: &mut Vec<Action>) {
        let Goal::Replace(revision) = self.goal() else {
            return;
        };
        let is_stable = self.current().is_none()
            && self.count_healthy(revision) == self.desired
            && self.tasks.len() == self.desired as usize;
        if is_stable && !self.is_steady {
            self.is_steady = true;
            actions.push(Action::Report(Note::SteadyState));
        }
    }

    /// Returns the share of production and test traffic of each revision in percent, or `None` while all healthy
    /// tasks are equal.
    pub(crate) fn weights(&self) -> Option<Vec<(u64, f64, f64)>> {
        let deployment = self.deployments.back()?;
        // ECS does not touch the weights of listener rules in a rolling deployment.
        if deployment.config.strategy == Strategy::Rolling {
            return None;
        }

        let (target, source) = (deployment.target, deployment.source);
        let (production, test) = (deployment.production_weight, deployment.test_weight);
        let Some(source) = source else {
            return Some(vec![(target, production, test)]);
        };

        Some(vec![
            (source, 100.0 - production, 100.0 - test),
            (target, production, test),
        ])
    }
}

/// The number of tasks of a revision that start at the same time.
const MAX_STARTS: u32 = 50;
