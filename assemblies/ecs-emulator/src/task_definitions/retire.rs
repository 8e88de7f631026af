//! DeregisterTaskDefinition and DeleteTaskDefinitions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Status, to_json};
use crate::api_error::ApiError;
use crate::request::Call;
use crate::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeregisterTaskDefinition {
    task_definition: String,
}

/// `DeregisterTaskDefinition`: the revision becomes INACTIVE. Tasks that run go on.
pub(crate) fn deregister(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DeregisterTaskDefinition = call.read()?;
    let revision = state
        .definitions
        .find_mut(&input.task_definition, &state.owner)?;
    let revision =
        revision.ok_or_else(|| ApiError::client("Unable to describe task definition."))?;
    // Deregistering again changes nothing, and keeps the time of the first call.
    if revision.status == Status::Active {
        revision.status = Status::Inactive;
        revision.deregistered = Some(call.now);
    }
    Ok(json!({ "taskDefinition": to_json(revision, &state.owner) }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteTaskDefinitions {
    task_definitions: Vec<String>,
}

/// `DeleteTaskDefinitions`, which takes revisions that are INACTIVE. They stay in DELETE_IN_PROGRESS: ECS deletes them
/// some time later.
pub(crate) fn delete(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DeleteTaskDefinitions = call.read()?;
    if !(1..=10).contains(&input.task_definitions.len()) {
        return Err(ApiError::invalid_parameter(
            "taskDefinitions must have between 1 and 10 items",
        ));
    }

    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for text in &input.task_definitions {
        match state.definitions.find_mut(text, &state.owner)? {
            Some(revision) if revision.status == Status::Active => failures.push(json!({
                "arn": revision.arn(&state.owner), "reason": "ACTIVE",
                "detail": "The task definition must be INACTIVE; deregister it first."
            })),
            Some(revision) => {
                revision.status = Status::DeleteInProgress;
                revision.delete_requested.get_or_insert(call.now);
                deleted.push(to_json(revision, &state.owner));
            }
            None => failures.push(json!({ "arn": text, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "taskDefinitions": deleted, "failures": failures }))
}
