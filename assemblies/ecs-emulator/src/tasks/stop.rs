//! StopTask, and ExecuteCommand, which needs a service that only AWS has.

use serde::Deserialize;
use serde_json::{Value, json};

use super::document::Tags;
use super::{Stop, TaskStatus, find, to_json};
use crate::api_error::ApiError;
use crate::clusters;
use crate::request::Call;
use crate::state::State;
use crate::time::TimeFormat;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StopTask {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

/// `StopTask`. The runner stops the task in order; a task that has stopped is returned as it is.
pub(crate) fn stop(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: StopTask = call.read()?;
    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    if input
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > 1024)
    {
        return Err(ApiError::invalid_parameter(
            "reason cannot be longer than 1024 characters",
        ));
    }
    let not_found = || ApiError::invalid_parameter("The referenced task was not found.");
    let id = find::find(state, &cluster, &input.task)?
        .ok_or_else(not_found)?
        .id
        .clone();

    let reason = input
        .reason
        .unwrap_or_else(|| "Task stopped by user".to_owned());
    state.request_stop(&id, Stop::new("UserInitiated", reason), call.now);
    let task = state.tasks.by_id.get(&id).ok_or_else(not_found)?;
    Ok(json!({ "task": to_json(task, &state.owner, TimeFormat::Seconds, Tags::Include) }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExecuteCommand {
    cluster: Option<String>,
    container: Option<String>,
    #[serde(rename = "command")]
    _command: String,
    #[serde(rename = "interactive")]
    _interactive: bool,
    task: String,
}

/// `ExecuteCommand`. Its session runs through SSM, so the answer is always an error; it names the local command.
pub(crate) fn execute_command(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ExecuteCommand = call.read()?;
    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    let task = find::find(state, &cluster, &input.task)?;
    let task =
        task.ok_or_else(|| ApiError::invalid_parameter("The referenced task was not found."))?;
    // The same errors as on AWS, in the same order, up to the point where SSM is needed.
    if task.status != TaskStatus::Running || !task.launch.enable_execute_command {
        return Err(ApiError::invalid_parameter(
            "The execute command failed because execute command was not enabled when the task was run or the execute \
             command agent isn't running. Wait and try again or run a new task with execute command enabled and try \
             again.",
        ));
    }

    let known = |name: &String| {
        task.containers
            .iter()
            .any(|container| container.name == *name)
    };

    if input.container.as_ref().is_some_and(|name| !known(name)) {
        return Err(ApiError::invalid_parameter(
            "The specified container was not found in the task.",
        ));
    }
    // The text says what to do instead: `exec` works with the run directory of the task.
    let container = input.container.as_deref().unwrap_or("CONTAINER");
    let message = format!(
        "The execute command failed because the emulator has no SSM. Use `assemble exec --task {} {container} -- COMMAND`.",
        task.run_name()
    );
    Err(ApiError::new("TargetNotConnectedException", message))
}
