//! Registers task definitions and compares them with what is registered.

use serde_json::Value;
use task_definition::{Change, TaskDefinition, normalise};

use crate::client::Client;
use crate::document::{Answer, send};
use crate::error::Error;

/// A task definition that ECS has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The ARN, with the number at its end.
    pub arn: String,
    /// The family.
    pub family: String,
    /// The number, from 1.
    pub number: u32,
}

/// How a definition compares with the latest one that is registered.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// Nothing is registered under that family.
    New,
    /// They are the same, but for what ECS fills in itself.
    Same,
    /// This leads from what is registered to the definition.
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
        .map_err(|error| Error::of(operation, error))?;

    let registered = output.task_definition().ok_or(Error::NotUnderstood {
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

/// The latest active definition of a family, or of `family:revision`, or of an ARN; nothing if there is none.
pub async fn latest(client: &Client, family: &str) -> Result<Option<TaskDefinition>, Error> {
    let operation = "DescribeTaskDefinition";
    let answer = Answer::default();
    let outcome = client
        .ecs
        .describe_task_definition()
        .task_definition(family)
        .include(aws_sdk_ecs::types::TaskDefinitionField::Tags)
        .customize()
        .interceptor(answer.clone())
        .send()
        .await
        .map_err(|error| Error::of(operation, error));

    match outcome {
        Ok(_) => read(answer.take()).map(Some).ok_or(Error::NotUnderstood {
            operation,
            status: 200,
        }),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Compares a definition with the latest of its family.
pub async fn difference(client: &Client, definition: &TaskDefinition) -> Result<Comparison, Error> {
    let Some(registered) = latest(client, &definition.family).await? else {
        return Ok(Comparison::New);
    };
    let changes = task_definition::difference(&normalise(&registered), &normalise(definition));
    Ok(if changes.is_empty() {
        Comparison::Same
    } else {
        Comparison::Changed(changes)
    })
}

/// ECS has one name for every mistake of a caller; the words tell that nothing is there.
fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Refused { code, message, .. }
        if code == "ClientException" && message.contains("Unable to describe task definition"))
}

/// The tags stand beside the definition in an answer, and inside it in a request.
fn read(answer: Option<Value>) -> Option<TaskDefinition> {
    let mut answer = answer?;
    let tags = answer.get_mut("tags").map(Value::take);
    let mut definition = answer.get_mut("taskDefinition")?.take();
    if let (Some(tags @ Value::Array(_)), Some(fields)) = (tags, definition.as_object_mut()) {
        fields.insert("tags".to_owned(), tags);
    }
    serde_json::from_value(definition).ok()
}
