//! Updates a task from the record of its process, which has the format of DescribeTasks.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Container, Stop, Task, TaskStatus};

/// Updates a task from its record. Returns whether something changed.
pub(crate) fn apply_record(task: &mut Task, record: &Value, now: SystemTime) -> bool {
    let before = (
        task.status,
        task.stop.clone(),
        task.health.clone(),
        states(task),
    );

    // The first record is written once programs and images are there.
    task.times.pull_stopped.get_or_insert(now);
    for container in &mut task.containers {
        let mut records = record["containers"].as_array().into_iter().flatten();
        if let Some(record) = records.find(|record| record["name"] == container.name.as_str()) {
            apply_container(container, record);
        }
    }
    if let Some(health) = record["healthStatus"].as_str() {
        health.clone_into(&mut task.health);
    }

    adopt_stop(task, record);
    task.status = status(record);
    let times = &mut task.times;
    times.started = times.started.or(time(record, "startedAt"));
    times.stopping = times.stopping.or(time(record, "stoppingAt"));
    times.execution_stopped = times.execution_stopped.or(time(record, "stoppedAt"));

    let is_changed = before
        != (
            task.status,
            task.stop.clone(),
            task.health.clone(),
            states(task),
        );
    task.version += u64::from(is_changed);
    is_changed
}

/// What a change of a container is noticed by.
fn states(task: &Task) -> Vec<(String, String, Option<i64>, usize)> {
    let state = |container: &Container| {
        let Container {
            status,
            health,
            exit_code,
            bindings,
            ..
        } = container;
        (status.clone(), health.clone(), *exit_code, bindings.len())
    };
    task.containers.iter().map(state).collect()
}

fn apply_container(container: &mut Container, record: &Value) {
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    container.status = text("lastStatus").unwrap_or_else(|| "PENDING".to_owned());
    container.health = text("healthStatus").unwrap_or_else(|| "UNKNOWN".to_owned());
    container.exit_code = record["exitCode"].as_i64();
    container.reason = text("reason");
    // The runtime id is the last part of the ARN in the record, which the metadata endpoint reports too.
    container.runtime_id = record["containerArn"]
        .as_str()
        .and_then(|arn| arn.rsplit('/').next())
        .map(str::to_owned);
    container.bindings = record["networkBindings"]
        .as_array()
        .cloned()
        .unwrap_or_default();
}

/// Takes over why the task stops. A reason that the caller gave stays.
fn adopt_stop(task: &mut Task, record: &Value) {
    let (Some(code), Some(reason)) = (
        record["stopCode"].as_str(),
        record["stoppedReason"].as_str(),
    ) else {
        return;
    };
    // The process knows of a caller's stop only that it was one.
    if task.stop.is_some() && code == "UserInitiated" {
        return;
    }
    task.stop = Some(Stop::new(code, reason));
}

fn status(record: &Value) -> TaskStatus {
    let is_stopping = record["desiredStatus"] == "STOPPED";
    match record["lastStatus"].as_str() {
        // The process still closes ports and writes its output.
        Some("STOPPED") => TaskStatus::Deprovisioning,
        _ if is_stopping => TaskStatus::Stopping,
        Some("RUNNING") => TaskStatus::Running,
        _ => TaskStatus::Pending,
    }
}

fn time(record: &Value, name: &str) -> Option<SystemTime> {
    let seconds = Duration::try_from_secs_f64(record[name].as_f64()?).ok()?;
    Some(SystemTime::UNIX_EPOCH + seconds)
}

/// Updates a task after the end of its process, or if none was started. `failure` says why the task was not created.
pub(crate) fn apply_exit(task: &mut Task, code: i32, failure: Option<&str>, now: SystemTime) {
    if let Some(message) = failure {
        fail(task, code, message);
    } else if task.times.execution_stopped.is_none() && task.status != TaskStatus::Provisioning {
        // A process that ends in order records the end of its task.
        task.stop = Some(Stop::new(
            "InfrastructureHealth",
            format!("the process of the task ended with code {code}"),
        ));
    }

    for container in &mut task.containers {
        "STOPPED".clone_into(&mut container.status);
        // Nothing answers there any more, and another task may get the port.
        container.bindings.clear();
    }
    task.status = TaskStatus::Stopped;
    task.times.stopping.get_or_insert(now);
    task.times.execution_stopped.get_or_insert(now);
    task.times.stopped = Some(now);
    task.version += 1;
}

/// Records why a task was not created, in the words of ECS. A caller's stop stays.
fn fail(task: &mut Task, code: i32, message: &str) {
    // 126 and 127, as in a shell: a program that cannot be executed, or is missing.
    let is_program = (CANNOT_EXECUTE..=NOT_FOUND).contains(&code);
    let kind = if is_program {
        "CannotPullContainerError"
    } else {
        "ResourceInitializationError"
    };

    let reason: String = format!("{kind}: {message}")
        .chars()
        .take(MAX_REASON)
        .collect();

    if is_program {
        for container in &mut task.containers {
            container.reason = Some(reason.clone());
        }
    }
    task.stop
        .get_or_insert_with(|| Stop::new("TaskFailedToStart", reason));
}

const CANNOT_EXECUTE: i32 = 126;
const NOT_FOUND: i32 = 127;
const MAX_REASON: usize = 1024;
