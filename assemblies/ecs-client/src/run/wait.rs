//! Waits for tasks.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::logs::LogFollower;
use super::request::{FollowLogs, Wait, WaitUntil};
use super::stopped::stopped_task;
use super::{Progress, StartedTask, TaskOutcome};
use crate::api::{Api, Call, Operation};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::register::latest;

/// Waits until all tasks are in the state to wait for, or have stopped.
pub async fn wait(
    api: &impl Api,
    cluster: &str,
    started: &[StartedTask],
    wait: Wait,
    mut on_progress: impl FnMut(Progress<'_>),
) -> Result<Vec<TaskOutcome>, Error> {
    let end = Instant::now() + wait.timeout;
    let mut backoff = Backoff::new(wait.interval, wait.max_interval);
    let mut watched: Vec<_> = started.iter().map(Watched::new).collect();
    let mut logs = match wait.logs {
        FollowLogs::Yes => Some(follow_logs(api, started, &mut on_progress).await),
        FollowLogs::No => None,
    };

    loop {
        // A connection that hangs must not extend the wait by the minute that the SDK allows.
        let poll = describe(api, cluster, &watched);
        let Ok(polled) = timeout_at(end.max(Instant::now()) + LAST_POLL, poll).await else {
            return Err(timed_out(&watched, wait));
        };
        match polled {
            Ok(tasks) => {
                update_all(&mut watched, api, &tasks, wait.until, &mut on_progress).await?;
            }
            // The tasks run on, so a fault or a limit of ECS must not end the wait.
            Err(error) if error.is_transient() => on_progress(Progress::Retry {
                reason: error.to_string(),
                delay: wait.max_interval,
            }),
            Err(error) => return Err(follow_error(&watched, error)),
        }

        let is_done = watched.iter().all(|task| task.outcome.is_some());
        if let Some(logs) = &mut logs {
            logs.poll(api, &mut on_progress).await;
            if is_done {
                logs.finish(api, wait, &mut on_progress).await;
            }
        }
        if is_done {
            return Ok(watched
                .into_iter()
                .filter_map(|task| task.outcome)
                .collect());
        }

        // After the poll, so that a task that has stopped meanwhile is not reported as running.
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out(&watched, wait));
        }

        // Never beyond the timeout, so that the last poll is at the deadline. Short tasks are noticed early, and long
        // ones cause few calls.
        sleep(backoff.next().min(left)).await;
    }
}

/// A task that is waited for.
struct Watched<'a> {
    started: &'a StartedTask,
    status: String,
    missing: u32,
    outcome: Option<TaskOutcome>,
}

impl<'a> Watched<'a> {
    fn new(started: &'a StartedTask) -> Self {
        Self {
            started,
            status: "not yet visible".to_owned(),
            missing: 0,
            outcome: None,
        }
    }

    async fn update(
        &mut self,
        api: &impl Api,
        tasks: &[Value],
        until: WaitUntil,
        on_progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<(), Error> {
        let arn = &self.started.task;
        let Some(task) = tasks.iter().find(|task| task["taskArn"] == arn.as_str()) else {
            // ECS is eventually consistent: a new task may not be visible at once.
            self.missing += 1;
            if self.missing <= MAX_MISSING_POLLS {
                return Ok(());
            }
            return Err(Error::TaskNotFound { task: arn.clone() });
        };

        self.missing = 0;
        // Tasks without a health check are UNKNOWN for ever.
        let health = task["healthStatus"].as_str().unwrap_or_default();
        let mut status = task["lastStatus"].as_str().unwrap_or_default().to_owned();
        if status == "RUNNING" && matches!(health, "HEALTHY" | "UNHEALTHY") {
            status = format!("{status}, {health}");
        }

        if status != self.status {
            self.status.clone_from(&status);
            on_progress(Progress::Status {
                task: arn,
                status: &status,
            });
        }

        let is_running = status.starts_with("RUNNING");
        let is_reached = match until {
            WaitUntil::Running => is_running,
            WaitUntil::Healthy => is_running && health == "HEALTHY",
            WaitUntil::Stopped => false,
        };

        if status == "STOPPED" {
            let stopped = stopped_task(api, self.started, task).await;
            self.outcome = Some(TaskOutcome::Stopped(stopped));
        } else if is_reached {
            self.outcome = Some(TaskOutcome::Reached(self.started.clone()));
        }
        Ok(())
    }
}

/// Updates the tasks that are still waited for.
async fn update_all(
    watched: &mut [Watched<'_>],
    api: &impl Api,
    tasks: &[Value],
    until: WaitUntil,
    on_progress: &mut impl FnMut(Progress<'_>),
) -> Result<(), Error> {
    for task in watched.iter_mut().filter(|task| task.outcome.is_none()) {
        task.update(api, tasks, until, on_progress).await?;
    }
    Ok(())
}

async fn describe(
    api: &impl Api,
    cluster: &str,
    watched: &[Watched<'_>],
) -> Result<Vec<Value>, Error> {
    let arns: Vec<_> = watched
        .iter()
        .filter(|task| task.outcome.is_none())
        .map(|task| task.started.task.as_str())
        .collect();
    let body = json!({ "cluster": cluster, "tasks": arns });
    let mut response = api.call(&Call::new(Operation::DescribeTasks, body)).await?;

    match response["tasks"].take() {
        Value::Array(tasks) => Ok(tasks),
        _ => Ok(Vec::new()),
    }
}

/// Prepares to follow the output of the tasks. Without it the wait is still useful, so errors are only reported.
async fn follow_logs(
    api: &impl Api,
    started: &[StartedTask],
    on_progress: &mut impl FnMut(Progress<'_>),
) -> LogFollower {
    let Some(first) = started.first() else {
        return LogFollower::default();
    };
    match latest(api, &first.task_definition).await {
        Ok(Some(definition)) => LogFollower::new(&definition, started),
        Ok(None) => LogFollower::default(),
        Err(error) => {
            on_progress(Progress::NoLogs(&error.to_string()));
            LogFollower::default()
        }
    }
}

fn timed_out(watched: &[Watched<'_>], wait: Wait) -> Error {
    let left: Vec<_> = watched
        .iter()
        .filter(|task| task.outcome.is_none())
        .collect();
    let names: Vec<_> = left.iter().map(|task| task.started.task.as_str()).collect();
    Error::WaitTimeout {
        task: names.join(", "),
        status: left
            .first()
            .map_or_else(String::new, |task| task.status.clone()),
        timeout: wait.timeout,
    }
}

fn follow_error(watched: &[Watched<'_>], source: Error) -> Error {
    let left = watched.iter().filter(|task| task.outcome.is_none());
    Error::Unfollowed {
        tasks: left.map(|task| task.started.task.clone()).collect(),
        source: Box::new(source),
    }
}

/// The number of consecutive polls in which a task may be missing.
const MAX_MISSING_POLLS: u32 = 5;
/// How long the last poll, which starts at the timeout, may take.
const LAST_POLL: Duration = Duration::from_secs(5);
