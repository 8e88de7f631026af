//! Registers task definitions and compares them with registered ones.

use serde_json::{Value, json};
use task_definition::{Change, TaskDefinition, normalise};

use crate::api::{Api, Call, Operation};
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
pub async fn register(api: &impl Api, definition: &TaskDefinition) -> Result<Revision, Error> {
    let operation = Operation::RegisterTaskDefinition;
    let body = serde_json::to_value(definition).map_err(|error| {
        Error::InvalidRequest(format!(
            "cannot write `{}` as JSON: {error}",
            definition.family
        ))
    })?;
    let response = api.call(&Call::new(operation, body)).await?;

    // HTTP 200 without a definition is not a response of ECS.
    let registered = &response["taskDefinition"];
    let arn = registered["taskDefinitionArn"]
        .as_str()
        .ok_or(Error::UnexpectedResponse {
            operation,
            status: 200,
        })?;

    Ok(Revision {
        arn: arn.to_owned(),
        family: registered["family"].as_str().unwrap_or_default().to_owned(),
        number: registered["revision"].as_u64().unwrap_or_default() as u32,
    })
}

/// Returns the latest active definition of a family, or the one of `family:revision` or an ARN; `None` if it does
/// not exist.
pub async fn latest(api: &impl Api, family: &str) -> Result<Option<TaskDefinition>, Error> {
    Ok(describe(api, family)
        .await?
        .map(|described| described.definition))
}

/// A registered task definition.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedDefinition {
    /// The ARN of the revision.
    pub arn: String,
    /// `ACTIVE`, `INACTIVE` or `DELETE_IN_PROGRESS`. Inactive revisions run, but no new service may use them.
    pub status: String,
    /// The definition.
    pub definition: TaskDefinition,
}

/// Returns the latest active revision of a family, or the one of `family:revision` or an ARN; `None` if it does not
/// exist.
pub async fn describe(api: &impl Api, family: &str) -> Result<Option<DescribedDefinition>, Error> {
    let operation = Operation::DescribeTaskDefinition;
    // Tags are returned only on request.
    let body = json!({ "taskDefinition": family, "include": ["TAGS"] });
    let response = match api.call(&Call::new(operation, body)).await {
        Ok(response) => response,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };

    let text = |name: &str| {
        let text = response["taskDefinition"][name].as_str();
        text.unwrap_or_default().to_owned()
    };
    let (arn, status) = (text("taskDefinitionArn"), text("status"));
    let definition = parse_definition(response).ok_or(Error::UnexpectedResponse {
        operation,
        status: 200,
    })?;
    Ok(Some(DescribedDefinition {
        arn,
        status,
        definition,
    }))
}

/// Compares a definition with the latest one of its family.
pub async fn difference(api: &impl Api, definition: &TaskDefinition) -> Result<Comparison, Error> {
    let registered = latest(api, &definition.family).await?;
    Ok(registered.map_or(Comparison::New, |registered| {
        compare(&registered, definition)
    }))
}

/// Compares a registered definition with another one.
pub fn compare(registered: &TaskDefinition, definition: &TaskDefinition) -> Comparison {
    // From the registered definition to the given one.
    let changes = task_definition::diff(&normalise(registered), &normalise(definition));
    if changes.is_empty() {
        Comparison::Same
    } else {
        Comparison::Changed(changes)
    }
}

/// Returns whether a definition does not exist; ECS has one error code for all client errors, so the message
/// decides.
fn is_absent(error: &Error) -> bool {
    matches!(error, Error::Refused { code, message, .. }
        if code == "ClientException" && message.contains("Unable to describe task definition"))
}

/// Reads the definition in a response, where the tags are next to it; in a request they are part of it.
fn parse_definition(mut response: Value) -> Option<TaskDefinition> {
    let tags = response.get_mut("tags").map(Value::take);
    let mut definition = response.get_mut("taskDefinition")?.take();
    if let (Some(tags @ Value::Array(_)), Some(fields)) = (tags, definition.as_object_mut()) {
        fields.insert("tags".to_owned(), tags);
    }
    serde_json::from_value(definition).ok()
}
