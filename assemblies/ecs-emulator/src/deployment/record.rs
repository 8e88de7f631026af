//! What events about tasks, hooks and alarms change.

use std::time::Duration;

use super::config::TimeoutAction;
use super::hooks::{HookState, HookStatus};
use super::scheduler::{Action, Note, OnFailure, Phase, Retry, Scheduler, Task, Time};
use super::status::Status;

impl Scheduler {
    pub(super) fn record_running(&mut self, task: u64, is_checked: bool, now: Time) {
        let wait = self.timing.scale(SETTLE_TIME);
        if let Some(task) = self.tasks.get_mut(&task)
            // An event may repeat; only the first starts the wait.
            && task.phase == Phase::Pending
        {
            task.phase = Phase::Running;
            task.settles_at = (!is_checked).then(|| now + wait);
        }
    }

    pub(super) fn record_healthy(&mut self, number: u64, now: Time) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };

        if matches!(task.phase, Phase::Healthy | Phase::Stopping) {
            return;
        }

        task.phase = Phase::Healthy;
        // A task that recovers keeps the time of its first success.
        task.healthy_since.get_or_insert(now);

        let revision = task.revision;
        if let Some(deployment) = self.current_mut()
            && deployment.target == revision
        {
            // One healthy task shows that the revision can work (resetOnHealthyTask in the API reference).
            deployment.breaker.record_healthy();
        }
    }

    pub(super) fn record_unhealthy(&mut self, number: u64, now: Time, actions: &mut Vec<Action>) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        if matches!(task.phase, Phase::Unhealthy | Phase::Stopping) {
            return;
        }
        // It goes on until its replacement runs, if there is room for one.
        task.phase = Phase::Unhealthy;

        self.is_steady = false;
        let task = *task;
        actions.push(Action::Report(Note::Unhealthy { task: number }));
        self.record_failure(task, now, actions);
    }

    pub(super) fn record_stopping(
        &mut self,
        number: u64,
        is_failure: bool,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };

        let before = *task;
        task.phase = Phase::Stopping;

        // One that the service stops is no failure, and an unhealthy one has been counted.
        if is_failure && !matches!(before.phase, Phase::Stopping | Phase::Unhealthy) {
            self.is_steady = false;
            self.record_failure(before, now, actions);
        }
    }

    /// Counts tasks that could not be started as one failure: more attempts at the same time would fail, too.
    pub(super) fn record_refused(&mut self, tasks: &[u64], now: Time, actions: &mut Vec<Action>) {
        let removed: Vec<Task> = tasks
            .iter()
            .filter_map(|task| self.tasks.remove(task))
            .collect();
        let Some(first) = removed.first() else {
            return;
        };

        self.record_failure(*first, now, actions);
        let pause = self.timing.scale(CAPACITY_PAUSE);
        let retry = self.retries.entry(first.revision).or_default();
        retry.not_before = retry.not_before.max(now + pause);
    }

    /// Counts a task that ended or became unhealthy on its own.
    fn record_failure(&mut self, task: Task, now: Time, actions: &mut Vec<Action>) {
        let uptime = task
            .healthy_since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let desired = self.desired;
        let retry = self.retries.entry(task.revision).or_default();
        if uptime < self.timing.scale(MINIMUM_UPTIME) {
            retry.failures = retry.failures.saturating_add(1);
        } else {
            *retry = Retry::default();
        }

        // All tasks of a revision fail together; one round of failures is one failure.
        let rounds = retry.failures.div_ceil(desired.max(1));
        let pause = Duration::from_secs((1 << rounds.saturating_sub(1).min(MAX_ROUNDS)) - 1);
        retry.not_before = now + self.timing.scale(pause);
        if rounds >= UNSTABLE_ROUNDS && !retry.is_reported {
            retry.is_reported = true;
            actions.push(Action::Report(Note::Unstable));
        }

        // The circuit breaker watches tasks on their way to the first healthy state.
        if task.healthy_since.is_some() {
            return;
        }

        let trips = self.current_mut().is_some_and(|deployment| {
            deployment.target == task.revision
                // In a rollback the failing revision must not fail the deployment again.
                && deployment.status == Status::InProgress
                && deployment.breaker.record_failure(desired)
        });

        if trips {
            let rolls_back = self
                .current()
                .is_some_and(|deployment| deployment.breaker.rolls_back());
            let on_failure = OnFailure::from_setting(rolls_back);
            self.fail(
                "ECS deployment circuit breaker: tasks failed to start.",
                on_failure,
                now,
                actions,
            );
        }
    }

    pub(super) fn answer(&mut self, number: u64, action: TimeoutAction) {
        let Some(deployment) = self.current_mut() else {
            return;
        };
        // An answer that comes after the timeout changes nothing.
        let waiting = |hook: &&mut HookState| {
            hook.number == number && hook.status == HookStatus::AwaitingAction
        };
        if let Some(hook) = deployment.hooks.iter_mut().find(waiting) {
            hook.status = match action {
                TimeoutAction::Continue => HookStatus::Succeeded,
                TimeoutAction::Rollback => HookStatus::Failed,
            };
        }
    }

    pub(super) fn record_alarms(&mut self, names: &[String], now: Time, actions: &mut Vec<Action>) {
        let Some(deployment) = self.current_mut() else {
            return;
        };

        let alarms = &deployment.config.alarms;
        let is_watched = |name: &&String| alarms.is_enabled && alarms.names.contains(*name);
        let triggered: Vec<String> = names.iter().filter(is_watched).cloned().collect();
        // Alarms of other services are in the same list.
        if triggered.is_empty() || deployment.status != Status::InProgress {
            return;
        }

        let on_failure = OnFailure::from_setting(alarms.rolls_back);
        deployment.triggered_alarms = triggered;
        self.fail(
            "ECS deployment alarms: an alarm is in the ALARM state.",
            on_failure,
            now,
            actions,
        );
    }

    /// Makes tasks without health check healthy that have run long enough.
    pub(super) fn settle(&mut self, now: Time) {
        let is_due = |task: &Task| {
            task.phase == Phase::Running && task.settles_at.is_some_and(|at| at <= now)
        };
        let due: Vec<u64> = self
            .tasks
            .iter()
            .filter(|(_, task)| is_due(task))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.record_healthy(number, now);
        }
    }
}

/// A task without health check counts after 40 seconds in RUNNING: minimumHealthyPercent in
/// the API reference.
const SETTLE_TIME: Duration = Duration::from_secs(40);
/// How long nothing is started after a task was refused.
const CAPACITY_PAUSE: Duration = Duration::from_secs(5);
/// A task that was healthy for a shorter time counts as a failure to start when its replacement is delayed.
const MINIMUM_UPTIME: Duration = Duration::from_secs(10);
/// The longest pause between two attempts is 63 seconds.
const MAX_ROUNDS: u32 = 6;
const UNSTABLE_ROUNDS: u32 = 3;
