//! A stack as DescribeStacks returns it.

use serde_json::{Value, json};

use super::{ENVIRONMENT_TAG, OWNER_TAG};
use crate::api::{Api, Call, Operation};
use crate::deploy::ServiceName;
use crate::error::Error;

/// A stack as it is now.
#[derive(Debug, Clone)]
pub struct StackState {
    document: Value,
}

impl StackState {
    /// Returns the ARN of the stack.
    pub fn id(&self) -> &str {
        self.document["StackId"].as_str().unwrap_or_default()
    }

    /// Returns the name of the stack.
    pub fn name(&self) -> &str {
        self.document["StackName"].as_str().unwrap_or_default()
    }

    /// Returns the status, such as `UPDATE_COMPLETE`.
    pub fn status(&self) -> &str {
        self.document["StackStatus"].as_str().unwrap_or_default()
    }

    /// Returns the value of a parameter; `None` if it is empty or missing.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.entry("Parameters", ["ParameterKey", "ParameterValue"], name)
            .filter(|value| !value.is_empty())
    }

    /// Returns the names of the parameters.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let entries = self.document["Parameters"].as_array();
        let entries = entries.into_iter().flatten();
        entries.filter_map(|entry| entry["ParameterKey"].as_str())
    }

    /// Returns the value of an output.
    pub fn output(&self, name: &str) -> Option<&str> {
        self.entry("Outputs", ["OutputKey", "OutputValue"], name)
    }

    /// Returns the service of the stack; `None` if it has none, as that of an on-demand task.
    pub fn service(&self) -> Option<ServiceName> {
        let (cluster, service) = (self.parameter("Cluster")?, self.output("Service")?);
        // The parameter may be the ARN of the cluster.
        let cluster = cluster.rsplit('/').next()?;
        format!("{cluster}/{service}").parse().ok()
    }

    /// Returns the ARN of the revision that the service should run.
    pub fn revision(&self) -> Option<&str> {
        self.parameter(TASK_REVISION)
            .or_else(|| self.output("TaskDefinition"))
    }

    /// Returns whether this program made the stack.
    pub fn is_own(&self) -> bool {
        self.entry("Tags", ["Key", "Value"], OWNER_TAG).is_some()
    }

    /// Returns the environment whose values the stack has.
    pub fn environment(&self) -> Option<&str> {
        self.entry("Tags", ["Key", "Value"], ENVIRONMENT_TAG)
    }

    /// Returns whether an operation is in progress.
    pub(super) fn is_busy(&self) -> bool {
        is_busy(self.status())
    }

    fn entry(&self, list: &str, [key, value]: [&str; 2], name: &str) -> Option<&str> {
        let entries = self.document[list].as_array()?.iter();
        let mut found = entries.filter(|entry| entry[key] == name);
        found.next()?[value].as_str()
    }
}

/// Returns whether a status is that of an operation in progress.
pub(super) fn is_busy(status: &str) -> bool {
    // A stack in review has no operation: it waits for a change set to be executed.
    status.ends_with("_IN_PROGRESS") && status != IN_REVIEW
}

/// Returns a stack, by name or ARN; `None` if there is none, or it was deleted.
pub async fn describe_stack(api: &impl Api, name: &str) -> Result<Option<StackState>, Error> {
    let call = Call::new(Operation::DescribeStacks, json!({ "StackName": name }));
    let mut response = match api.call(&call).await {
        Ok(response) => response,
        // CloudFormation has no separate error code for it.
        Err(Error::Refused { code, message, .. })
            if code == "ValidationError" && message.contains("does not exist") =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };

    let document = response["Stacks"].get_mut(0).map(Value::take);
    let stack = document.map(|document| StackState { document });
    Ok(stack.filter(|stack| stack.status() != "DELETE_COMPLETE"))
}

/// The status of a stack that was never created, but has a change set.
pub(super) const IN_REVIEW: &str = "REVIEW_IN_PROGRESS";
/// The parameter of rendered templates with the revision of a rollback.
pub(super) const TASK_REVISION: &str = "TaskRevision";
