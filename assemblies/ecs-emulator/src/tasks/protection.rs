//! GetTaskProtection and UpdateTaskProtection: tasks of services that scale-in and deployments leave alone.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Task, TaskStatus, document, find};
use crate::api_error::ApiError;
use crate::clusters;
use crate::request::Call;
use crate::state::State;
use crate::time::seconds;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GetTaskProtection {
    cluster: String,
    #[serde(default)]
    tasks: Vec<String>,
}

/// `GetTaskProtection`. Without tasks it is about all tasks of services in the cluster.
pub(crate) fn get_protection(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: GetTaskProtection = call.read()?;
    let cluster = clusters::resolve(state, Some(&input.cluster))?;
    if input.tasks.is_empty() {
        let own = state
            .tasks
            .by_id
            .values()
            .filter(|task| task.launch.cluster == cluster && can_be_protected(task));
        let protected: Vec<Value> = own.map(|task| to_json(state, task, call)).collect();
        return Ok(json!({ "protectedTasks": protected, "failures": [] }));
    }

    let selected = select(state, &cluster, &input.tasks)?;
    Ok(response(state, &selected, call))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateTaskProtection {
    cluster: String,
    tasks: Vec<String>,
    protection_enabled: bool,
    expires_in_minutes: Option<i64>,
}

/// `UpdateTaskProtection`.
pub(crate) fn update_protection(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: UpdateTaskProtection = call.read()?;
    let cluster = clusters::resolve(state, Some(&input.cluster))?;
    let minutes = match input.expires_in_minutes {
        None => DEFAULT_MINUTES,
        Some(minutes @ 1..=MAX_MINUTES) => minutes,
        Some(_) => {
            let message = format!("expiresInMinutes must be between 1 and {MAX_MINUTES}");
            return Err(ApiError::invalid_parameter(message));
        }
    };

    let selected = select(state, &cluster, &input.tasks)?;
    let until = call.now + Duration::from_secs(60 * minutes.unsigned_abs());
    for id in &selected.found {
        if let Some(task) = state.tasks.by_id.get_mut(id) {
            task.protected_until = input.protection_enabled.then_some(until);
        }
    }
    Ok(response(state, &selected, call))
}

/// The tasks of a call that can be protected, and failures for the others.
struct Selection {
    found: Vec<String>,
    failures: Vec<Value>,
}

fn select(state: &State, cluster: &str, tasks: &[String]) -> Result<Selection, ApiError> {
    // The limit of the API.
    if tasks.len() > 10 {
        return Err(ApiError::invalid_parameter(
            "tasks cannot have more than 10 items",
        ));
    }
    let mut selection = Selection {
        found: Vec::new(),
        failures: Vec::new(),
    };

    for text in tasks {
        match find::find(state, cluster, text)? {
            Some(task) if can_be_protected(task) => selection.found.push(task.id.clone()),
            Some(task) => selection.failures.push(json!({
                "arn": document::arn(task, &state.owner), "reason": "TASK_NOT_VALID",
                "detail": "Only tasks of a service that are not stopping can be protected."
            })),
            None => selection.failures.push(find::missing(state, cluster, text)),
        }
    }
    Ok(selection)
}

fn can_be_protected(task: &Task) -> bool {
    task.launch.service.is_some() && task.is_wanted() && task.status != TaskStatus::Stopped
}

fn response(state: &State, selection: &Selection, call: &Call) -> Value {
    let tasks = selection
        .found
        .iter()
        .filter_map(|id| state.tasks.by_id.get(id));
    let protected: Vec<Value> = tasks.map(|task| to_json(state, task, call)).collect();
    json!({ "protectedTasks": protected, "failures": selection.failures })
}

fn to_json(state: &State, task: &Task, call: &Call) -> Value {
    // Protection that has expired counts as none.
    let until = task.protected_until.filter(|until| *until > call.now);
    let mut value = json!({
        "taskArn": document::arn(task, &state.owner), "protectionEnabled": until.is_some()
    });
    if let Some(until) = until {
        value["expirationDate"] = seconds(until).into();
    }
    value
}

const DEFAULT_MINUTES: i64 = 120;
const MAX_MINUTES: i64 = 2880;
