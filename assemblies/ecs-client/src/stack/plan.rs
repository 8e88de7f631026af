//! What a deploy of a stack would change, and the start of it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::change_set::{self, Contents, ResourceChange};
use super::state::{IN_REVIEW, StackState, TASK_REVISION, describe_stack};
use super::{CHANGE_SET_PREFIX, ENVIRONMENT_TAG, OWNER_TAG};
use crate::api::{Api, Call, Operation};
use crate::deploy::FollowWait;
use crate::error::Error;

/// What to change in a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackChange {
    /// The template and the parameters. A parameter without a value has the default of the template.
    Template {
        /// The template.
        text: String,
        /// The names and values of parameters.
        parameters: Vec<(String, String)>,
        /// The environment whose values the template has.
        environment: String,
    },
    /// Only the revision that the service runs, by its ARN.
    Revision(String),
}

/// A change set that was not executed.
#[derive(Debug)]
pub struct StackPlan {
    stack: String,
    change_set: String,
    changes: Vec<ResourceChange>,
    /// Whether the stack is created.
    is_new: bool,
    revision: Option<String>,
}

/// An operation of a stack to follow.
#[derive(Debug, Clone)]
pub struct ExecutedChangeSet {
    /// The name or the ARN of the stack.
    pub(super) stack: String,
    /// The newest event before the operation.
    pub(super) last_event: Option<String>,
    /// The ARN of the revision that the service will run, unless the operation registers another one.
    pub(super) revision: Option<String>,
}

impl StackPlan {
    /// Creates a change set; `None` if the stack has everything already. Changes nothing else.
    pub async fn new(
        api: &impl Api,
        name: &str,
        state: Option<&StackState>,
        change: &StackChange,
        wait: FollowWait,
    ) -> Result<Option<Self>, Error> {
        let change_set = unique_name();
        let request = request(name, &change_set, state, change)?;
        change_set::create(api, request).await?;

        match change_set::wait(api, name, &change_set, wait).await {
            Ok(Contents::Changes(changes)) => Ok(Some(Self {
                stack: name.to_owned(),
                change_set,
                changes,
                is_new: state.is_none(),
                revision: match change {
                    StackChange::Revision(arn) => Some(arn.clone()),
                    StackChange::Template { .. } => state
                        .and_then(|state| state.output("TaskDefinition"))
                        .map(str::to_owned),
                },
            })),
            Ok(Contents::Nothing) => {
                change_set::delete(api, name, &change_set).await?;
                Ok(None)
            }
            Err(error) => {
                // The cause is the more important message; the next deploy deletes what is left.
                let _ = discard(api, name, &change_set, state.is_none()).await;
                Err(error)
            }
        }
    }

    /// Returns the changes.
    pub fn changes(&self) -> &[ResourceChange] {
        &self.changes
    }

    /// Returns whether the stack is created.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Executes the change set.
    pub async fn execute(self, api: &impl Api) -> Result<ExecutedChangeSet, Error> {
        let body = json!({ "StackName": self.stack });
        let events = api
            .call(&Call::new(Operation::DescribeStackEvents, body))
            .await?;
        let last_event = events["StackEvents"][0]["EventId"]
            .as_str()
            .map(str::to_owned);

        let body = json!({ "StackName": self.stack, "ChangeSetName": self.change_set });
        api.call(&Call::new(Operation::ExecuteChangeSet, body))
            .await?;
        Ok(ExecutedChangeSet {
            stack: self.stack,
            last_event,
            revision: self.revision,
        })
    }

    /// Deletes the change set, and the stack if it has nothing but the change set.
    pub async fn discard(self, api: &impl Api) -> Result<(), Error> {
        discard(api, &self.stack, &self.change_set, self.is_new).await
    }
}

async fn discard(api: &impl Api, stack: &str, change_set: &str, is_new: bool) -> Result<(), Error> {
    change_set::delete(api, stack, change_set).await?;
    // Between the change set and this call, another deploy may have created the stack, which then runs.
    if is_new
        && let Some(state) = describe_stack(api, stack).await?
        && state.status() == IN_REVIEW
    {
        let body = json!({ "StackName": stack });
        api.call(&Call::new(Operation::DeleteStack, body)).await?;
    }
    Ok(())
}

fn request(
    name: &str,
    change_set: &str,
    state: Option<&StackState>,
    change: &StackChange,
) -> Result<Value, Error> {
    let environment = match change {
        StackChange::Template { environment, .. } => Some(environment.as_str()),
        StackChange::Revision(_) => state.and_then(StackState::environment),
    };
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let mut tags = vec![tag(OWNER_TAG, name)];
    tags.extend(environment.map(|environment| tag(ENVIRONMENT_TAG, environment)));

    let mut body = json!({
        "StackName": name,
        "ChangeSetName": change_set,
        "ChangeSetType": if state.is_some() { "UPDATE" } else { "CREATE" },
        // Roles of rendered stacks have names.
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Tags": tags,
    });

    let parameter =
        |name: &str, value: &str| json!({ "ParameterKey": name, "ParameterValue": value });
    match change {
        StackChange::Template {
            text, parameters, ..
        } => {
            check_size(name, text)?;
            body["TemplateBody"] = text.as_str().into();
            body["Parameters"] = parameters
                .iter()
                .map(|(name, value)| parameter(name, value))
                .collect();
        }
        StackChange::Revision(arn) => {
            body["UsePreviousTemplate"] = true.into();
            let names = state.into_iter().flat_map(StackState::parameters);
            let previous = names.map(|name| match name {
                TASK_REVISION => parameter(name, arn),
                name => json!({ "ParameterKey": name, "UsePreviousValue": true }),
            });
            body["Parameters"] = previous.collect();
        }
    }
    Ok(body)
}

fn check_size(name: &str, template: &str) -> Result<(), Error> {
    if template.len() <= MAX_TEMPLATE {
        return Ok(());
    }
    Err(Error::InvalidRequest(format!(
        "the template of `{name}` has {} bytes, and CloudFormation takes {MAX_TEMPLATE} in a request; upload \
         cloudformation.yaml to a bucket with `aws cloudformation deploy --s3-bucket BUCKET`",
        template.len()
    )))
}

/// Returns a name that no other change set has.
fn unique_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = now.map_or(0, |now| now.as_millis());
    format!("{CHANGE_SET_PREFIX}{millis}-{:08x}", fastrand::u32(..))
}

/// Source: "CloudFormation quotas".
const MAX_TEMPLATE: usize = 51_200;
