//! Task definitions: families of numbered revisions.
//!
//! | file | is |
//! |---|---|
//! | `register` | RegisterTaskDefinition, with the rules of `ecs-rules` |
//! | `retire` | DeregisterTaskDefinition and DeleteTaskDefinitions |
//! | `list` | ListTaskDefinitions and ListTaskDefinitionFamilies |
//! | `document` | a revision as DescribeTaskDefinition returns it |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};
use task_definition::{Tag, TaskDefinition};

use crate::api_error::ApiError;
use crate::arn::Owner;
use crate::request::Call;
use crate::state::State;

mod document;
mod list;
mod register;
mod retire;

pub(crate) use document::{compatibilities, to_json};
pub(crate) use list::{list, list_families};
pub(crate) use register::register;
pub(crate) use retire::{delete, deregister};

/// The revisions of all families, oldest first. A number is never used again.
#[derive(Debug, Default)]
pub(crate) struct TaskDefinitions {
    families: BTreeMap<String, Vec<Revision>>,
}

/// A registered revision.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) number: u32,
    /// Without its tags, which can change.
    pub(crate) definition: Arc<TaskDefinition>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) status: Status,
    registered: SystemTime,
    deregistered: Option<SystemTime>,
    delete_requested: Option<SystemTime>,
}

/// The status of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Inactive,
    DeleteInProgress,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
        }
    }
}

impl Revision {
    /// Returns the ARN of the revision.
    pub(crate) fn arn(&self, owner: &Owner) -> String {
        arn(owner, &self.definition.family, self.number)
    }
}

impl TaskDefinitions {
    /// Finds a revision by family (the newest that is ACTIVE), `family:revision` or ARN.
    pub(crate) fn find(&self, text: &str, owner: &Owner) -> Result<Option<&Revision>, ApiError> {
        let (family, number) = split(owner.resource(text, "task-definition")?)?;
        let Some(revisions) = self.families.get(family) else {
            return Ok(None);
        };
        Ok(match number {
            Some(number) => revisions.iter().find(|revision| revision.number == number),
            None => revisions
                .iter()
                .rev()
                .find(|revision| revision.status == Status::Active),
        })
    }

    /// Finds a revision by `family:revision` or ARN, to change it.
    pub(crate) fn find_mut(
        &mut self,
        text: &str,
        owner: &Owner,
    ) -> Result<Option<&mut Revision>, ApiError> {
        let (family, number) = split(owner.resource(text, "task-definition")?)?;
        // Only reading operations take a family without a revision.
        let Some(number) = number else {
            return Err(ApiError::client("Revision is missing."));
        };
        let revisions = self.families.get_mut(family).into_iter().flatten();
        Ok(revisions
            .into_iter()
            .find(|revision| revision.number == number))
    }

    fn len(&self) -> usize {
        self.families.values().map(Vec::len).sum()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeTaskDefinition {
    task_definition: String,
    #[serde(default)]
    include: Vec<String>,
}

/// `DescribeTaskDefinition`.
pub(crate) fn describe(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DescribeTaskDefinition = call.read()?;
    let revision = state
        .definitions
        .find(&input.task_definition, &state.owner)?;
    let revision =
        revision.ok_or_else(|| ApiError::client("Unable to describe task definition."))?;

    let mut body = json!({ "taskDefinition": to_json(revision, &state.owner), "tags": [] });
    if input.include.iter().any(|field| field == "TAGS") {
        body["tags"] = json!(revision.tags);
    }
    Ok(body)
}

/// Returns the ARN of a revision.
pub(crate) fn arn(owner: &Owner, family: &str, number: u32) -> String {
    owner.arn(&format!("task-definition/{family}:{number}"))
}

/// Splits `family[:revision]`.
fn split(text: &str) -> Result<(&str, Option<u32>), ApiError> {
    let Some((family, number)) = text.split_once(':') else {
        return Ok((text, None));
    };
    match number.parse() {
        Ok(number) => Ok((family, Some(number))),
        Err(_) => Err(ApiError::client(format!(
            "Invalid revision number. Number: {number}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_family_and_revision() {
        assert_eq!(split("web"), Ok(("web", None)));
        assert_eq!(split("web:3"), Ok(("web", Some(3))));
        assert_eq!(split("web:x").unwrap_err().code, "ClientException");
        assert!(split("web:-1").is_err());
    }
}
