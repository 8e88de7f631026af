//! Registers task definitions and compares them with registered ones.

use serde_json::Value;
use task_definition::{Change, TaskDefinition, normalise};

use crate::client::Client;
use crate::document::{ResponseDocument, send};
use crate::error::Error;

/// A registered task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The ARN, which ends with the revision number.
    pub arn: String,
    /// The family.
    pub family: String,
    /// The revision number, from 1.
    pub number: u32,
}

/// The comparison of a definition with the latest registered one.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// The family has no registered definition.
    New,
    /// Both are the same, apart from defaults that ECS fills in.
    Same,
    /// The changes from the registered definition to the given one.
    Changed(Vec<Change>),
}

/// Registers a definition as the next revision of its family.
pub async fn register(client: &Client, definition: &TaskDefinition) -> Result<Revision, Error> {
    let operation = "RegisterTaskDefinition";
    let output = client
        .ecs
        .register_task_definition()
        .customize()
        .mutate_request(send(definition.to_json()))
        .send()
        .await
        .map_err(|error| Error::from_sdk(operation, error))?;

    // HTTP 200 without a definition is not a response of ECS.
    let registered = output.task_definition().ok_or(Error::UnexpectedResponse {
        operation,
        status: 200,
    })?;

    Ok(Revision {
        arn: registered
            .task_definition_arn()
            .unwrap_or_default()
            .to_owned(),
        family: registered.family().unwrap_or_default().to_owned(),
        number: registered.revision().unsigned_abs(),
    })
}

/// Returns the latest active definition of a family, or the one of `family:revision` or an ARN; `None` if it does
/// not exist.
pub async fn latest(client: &Client, family: &str) -> Result<Option<TaskDefinition>, Error> {
    let operation = "DescribeTaskDefinition";
    let response = ResponseDocument::default();
    let outcome = client
        .ecs
        .describe_task_definition()
        .task_definition(family)
        // Tags are returned only on request.
        .include(aws_sdk_ecs::types::TaskDefinitionField::Tags)
        .customize()
        .interceptor(response.clone())
        .send()
        .await
        .map_err(|error| Error::from_sdk(operation, error));

    match outcome {
        Ok(_) => parse_definition(response.take())
            .map(Some)
            .ok_or(Error::UnexpectedResponse {
                operation,
                status: 200,
            }),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Compares a definition with the latest one of its family.
pub async fn difference(client: &Client, definition: &TaskDefinition) -> Result<Comparison, Error> {
    let Some(registered) = latest(client, &definition.family).await? else {
        return Ok(Comparison::New);
    };
    // From the registered definition to the given one.
    let changes = task_definition::diff(&normalise(&registered), &normalise(definition));
    Ok(if changes.is_empty() {
        Comparison::Same
    } else {
        Comparison::Changed(changes)
    })
}

/// Returns whether a definition does not exist; ECS has one error code for all client errors, so the message
/// decides.
fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Refused { code, message, .. }
        if code == "ClientException" && message.contains("Unable to describe task definition"))
}

/// Reads the definition in a response, where the tags are next to it; in a request they are part of it.
fn parse_definition(response: Option<Value>) -> Option<TaskDefinition> {
    let mut response = response?;
    let tags = response.get_mut("tags").map(Value::take);
    let mut definition = response.get_mut("taskDefinition")?.take();
    if let (Some(tags @ Value::Array(_)), Some(fields)) = (tags, definition.as_object_mut()) {
        fields.insert("tags".to_owned(), tags);
    }
    serde_json::from_value(definition).ok()
}
