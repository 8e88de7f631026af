//! Change sets: what CloudFormation would change.

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api::{Api, Call, Operation};
use crate::backoff::Backoff;
use crate::deploy::FollowWait;
use crate::error::Error;

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic`.
    pub action: String,
    /// The logical id.
    pub name: String,
    /// The type, such as `AWS::ECS::Service`.
    pub kind: String,
    /// Whether the resource is replaced by another one.
    pub replacement: Replacement,
    /// The properties that change.
    pub properties: Vec<PropertyChange>,
}

/// Whether a resource is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It stays.
    No,
    /// It depends on values that are known during the update only.
    Maybe,
    /// Another one is created, and this one deleted or left.
    Yes,
}

/// A change of a property of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// The name, or the path in the resource.
    pub path: String,
    /// The value before, if CloudFormation says it.
    pub before: Option<String>,
    /// The value after, if CloudFormation knows it.
    pub after: Option<String>,
}

/// A change set in a list.
#[derive(Debug, Clone)]
pub(super) struct ListedChangeSet {
    pub(super) name: String,
    pub(super) status: String,
}

/// What a change set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contents {
    /// The stack has everything already.
    Nothing,
    Changes(Vec<ResourceChange>),
}

/// Returns the change sets of a stack that were not executed.
pub(super) async fn list(api: &impl Api, stack: &str) -> Result<Vec<ListedChangeSet>, Error> {
    let body = json!({ "StackName": stack });
    let response = api
        .call(&Call::new(Operation::ListChangeSets, body))
        .await?;
    let entries = response["Summaries"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = entries
        .filter(|entry| entry["ExecutionStatus"] != "EXECUTE_COMPLETE")
        .map(|entry| ListedChangeSet {
            name: text(&entry["ChangeSetName"]),
            status: text(&entry["Status"]),
        });
    Ok(listed.collect())
}

pub(super) async fn create(api: &impl Api, request: Value) -> Result<(), Error> {
    let call = Call::new(Operation::CreateChangeSet, request);
    match api.call(&call).await {
        // The name is unique, so it is ours: of an attempt whose response was lost.
        Err(Error::Refused { code, .. }) if code == "AlreadyExistsException" => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Waits until a change set is complete, and returns what it changes.
pub(super) async fn wait(
    api: &impl Api,
    stack: &str,
    name: &str,
    wait: FollowWait,
) -> Result<Contents, Error> {
    let end = Instant::now() + wait.timeout;
    let mut backoff = Backoff::new(wait.interval * 2, wait.interval * 5);
    loop {
        let first = describe(api, stack, name, None).await?;
        let reason = first["StatusReason"].as_str().unwrap_or_default();
        match first["Status"].as_str().unwrap_or_default() {
            "CREATE_COMPLETE" => {
                return Ok(Contents::Changes(pages(api, stack, name, first).await?));
            }
            // Source: "Troubleshooting CloudFormation"; there is no code for it.
            "FAILED" if NO_CHANGES.iter().any(|text| reason.contains(text)) => {
                return Ok(Contents::Nothing);
            }
            "FAILED" => {
                return Err(Error::ChangeSetFailed {
                    stack: stack.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            status if Instant::now() >= end => {
                return Err(Error::StackTimeout {
                    name: stack.to_owned(),
                    status: format!("preparing a change set ({status})"),
                    timeout: wait.timeout,
                });
            }
            _ => sleep(backoff.next()).await,
        }
    }
}

/// Reads the changes of all pages.
async fn pages(
    api: &impl Api,
    stack: &str,
    name: &str,
    first: Value,
) -> Result<Vec<ResourceChange>, Error> {
    let (mut changes, mut page) = (Vec::new(), first);
    for _ in 0..MAX_PAGES {
        let entries = page["Changes"].as_array().into_iter().flatten();
        changes.extend(entries.map(|entry| ResourceChange::from_json(&entry["ResourceChange"])));
        let Some(next) = page["NextToken"].as_str() else {
            break;
        };
        page = describe(api, stack, name, Some(next)).await?;
    }
    Ok(changes)
}

async fn describe(
    api: &impl Api,
    stack: &str,
    name: &str,
    next: Option<&str>,
) -> Result<Value, Error> {
    let body = json!({ "StackName": stack, "ChangeSetName": name, "IncludePropertyValues": true,
        "NextToken": next });
    api.call(&Call::new(Operation::DescribeChangeSet, body))
        .await
}

/// Deletes a change set; one that is gone is no error.
pub(super) async fn delete(api: &impl Api, stack: &str, name: &str) -> Result<(), Error> {
    let body = json!({ "StackName": stack, "ChangeSetName": name });
    let call = Call::new(Operation::DeleteChangeSet, body);
    match api.call(&call).await {
        Err(Error::Refused { code, .. }) if code == "ChangeSetNotFound" => Ok(()),
        other => other.map(|_| ()),
    }
}

impl ResourceChange {
    fn from_json(change: &Value) -> Self {
        let text = |field: &str| change[field].as_str().unwrap_or_default().to_owned();
        let details = change["Details"].as_array().into_iter().flatten();
        let mut properties: Vec<PropertyChange> = Vec::new();
        for property in details.filter_map(|detail| PropertyChange::from_json(&detail["Target"])) {
            // A property that changes for two reasons is listed twice.
            if properties.iter().all(|other| other.path != property.path) {
                properties.push(property);
            }
        }

        Self {
            action: text("Action"),
            name: text("LogicalResourceId"),
            kind: text("ResourceType"),
            replacement: match change["Replacement"].as_str() {
                Some("True") => Replacement::Yes,
                Some("Conditional") => Replacement::Maybe,
                _ => Replacement::No,
            },
            properties,
        }
    }
}

impl PropertyChange {
    fn from_json(target: &Value) -> Option<Self> {
        let text = |field: &str| target[field].as_str().map(str::to_owned);
        let path = text("Path").map(|path| path.trim_start_matches("/Properties/").to_owned());
        let attribute = || text("Name").or_else(|| text("Attribute"));
        Some(Self {
            path: path.filter(|path| !path.is_empty()).or_else(attribute)?,
            before: text("BeforeValue"),
            after: text("AfterValue"),
        })
    }
}

const NO_CHANGES: [&str; 3] = [
    "didn't contain changes",
    "No updates are to be performed",
    "contain no changes",
];
/// A page has up to a megabyte; a stack has up to 500 resources.
const MAX_PAGES: usize = 50;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{PropertyChange, Replacement, ResourceChange};

    #[test]
    fn reads_a_change_and_its_properties_once() {
        let target = json!({ "Attribute": "Properties", "Name": "Family", "Path": "/Properties/Family",
            "BeforeValue": "a", "AfterValue": "b", "RequiresRecreation": "Always" });
        let change = json!({ "Action": "Modify", "LogicalResourceId": "TaskDefinition",
            "ResourceType": "AWS::ECS::TaskDefinition", "Replacement": "True",
            "Details": [{ "Target": target }, { "Target": target }] });
        let read = ResourceChange::from_json(&change);
        assert_eq!(read.replacement, Replacement::Yes);
        let property = PropertyChange {
            path: "Family".to_owned(),
            before: Some("a".to_owned()),
            after: Some("b".to_owned()),
        };
        assert_eq!(read.properties, [property]);
    }
}
