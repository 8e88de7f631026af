//! Deletes a stack, and lists what is in it.

use serde_json::{Value, json};

use super::StackEvent;
use super::follow::{StackOutcome, follow_stack};
use super::plan::ExecutedChangeSet;
use super::state::StackState;
use crate::api::{Api, Call, Operation};
use crate::deploy::FollowWait;
use crate::error::Error;

/// Deletes a stack and waits. Resources with the deletion policy `Retain` stay.
pub async fn delete_stack(
    api: &impl Api,
    stack: &StackState,
    wait: FollowWait,
    on_event: impl FnMut(StackEvent<'_>),
) -> Result<StackOutcome, Error> {
    // By its ARN: after the deletion the name says nothing, or is that of another stack.
    let body = json!({ "StackName": stack.id() });
    let events = api
        .call(&Call::new(Operation::DescribeStackEvents, body.clone()))
        .await?;
    let last_event = events["StackEvents"][0]["EventId"].as_str();
    let deletion = ExecutedChangeSet {
        stack: stack.id().to_owned(),
        last_event: last_event.map(str::to_owned),
        revision: None,
    };

    api.call(&Call::new(Operation::DeleteStack, body)).await?;
    follow_stack(api, &deletion, wait, on_event).await
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// The logical id.
    pub name: String,
    /// The type, such as `AWS::ECS::Service`.
    pub kind: String,
    /// The physical id: a name or an ARN.
    pub id: String,
}

/// Returns the resources of a stack that exist.
pub async fn stack_resources(
    api: &impl Api,
    stack: &StackState,
) -> Result<Vec<StackResource>, Error> {
    let body = json!({ "StackName": stack.id() });
    let response = api
        .call(&Call::new(Operation::DescribeStackResources, body))
        .await?;
    let entries = response["StackResources"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = |entry: &Value| StackResource {
        name: text(&entry["LogicalResourceId"]),
        kind: text(&entry["ResourceType"]),
        id: text(&entry["PhysicalResourceId"]),
    };
    let existing = entries.filter(|entry| entry["ResourceStatus"] != "DELETE_COMPLETE");
    Ok(existing.map(resource).collect())
}
