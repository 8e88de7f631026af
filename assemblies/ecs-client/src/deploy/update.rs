//! Deploys a revision to a service: finds what differs, registers it, and updates the service.
//!
//! UpdateService is called with the new revision only. Everything else of the service, the number of tasks included,
//! belongs to the tool that made it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use task_definition::TaskDefinition;

use super::deployments::{find_own, list};
use super::revision::{Images, RawRevision};
use super::service::{Rollout, ServiceState, describe_service};
use super::state::describe_deployment;
use super::writer::ImageWriter;
use super::{DeployEvent, ServiceName};
use crate::api::{Api, Call, Operation};
use crate::error::Error;
use crate::register::{Comparison, compare, describe};

/// What to deploy.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A definition.
    Definition(Box<TaskDefinition>),
    /// Other images of containers; everything else stays as it is.
    Images(Images),
    /// A registered revision, by its ARN.
    Revision(String),
}

/// A change compared with the service.
#[derive(Debug, Clone)]
pub struct Plan {
    change: Change,
    state: ServiceState,
    running: RawRevision,
    target: Target,
    /// The deployments that there were before the service was read.
    known: BTreeSet<String>,
}

/// The revision to deploy.
#[derive(Debug, Clone, PartialEq)]
enum Target {
    /// The one that runs.
    Running,
    /// A registered one.
    Existing { arn: String, document: Value },
    /// One to be registered: the request.
    New(Value),
}

/// The result of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// The service runs the revision already.
    Unchanged {
        /// The ARN of the revision.
        revision: String,
    },
    /// A deployment is in progress.
    Started(StartedDeployment),
}

/// A deployment to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedDeployment {
    /// The ARN of the service deployment.
    pub deployment: String,
    /// The ARN of the revision that it leads to.
    pub revision: String,
}

impl Plan {
    /// Compares a change with what the service runs. Changes nothing.
    pub async fn new(api: &impl Api, name: &ServiceName, change: Change) -> Result<Self, Error> {
        // Before the service is read, so that a later deployment is not mistaken for a known one.
        let known = list(api, name).await?;
        let state = describe_service(api, name).await?;
        state.check_deployable(name)?;
        let running = RawRevision::read(api, state.revision()).await?;
        let target = target(api, &change, &state, &running).await?;

        Ok(Self {
            change,
            target,
            running,
            state,
            known: known.into_iter().map(|it| it.arn).collect(),
        })
    }

    /// Returns the service as it is.
    pub fn service(&self) -> &ServiceState {
        &self.state
    }

    /// Returns the running revision as ECS returns it.
    pub fn running(&self) -> &Value {
        self.running.document()
    }

    /// Returns the revision to deploy; `None` if it runs already.
    pub fn wanted_revision(&self) -> Option<&Value> {
        match &self.target {
            Target::Running => None,
            Target::Existing { document, .. } => Some(document),
            Target::New(request) => Some(request),
        }
    }

    /// Registers the revision if it is new, and updates the service.
    ///
    /// `interval` is the time between two looks for the deployment.
    pub async fn apply(
        self,
        api: &impl Api,
        name: &ServiceName,
        interval: Duration,
        mut on_event: impl FnMut(DeployEvent<'_>),
    ) -> Result<Update, Error> {
        if self.target == Target::Running {
            return self.resume(api, name, interval, &mut on_event).await;
        }
        if let Change::Images(images) = &self.change {
            let writer = ImageWriter::new(api, name, self.running, images.clone(), self.known);
            return writer.write(interval, &mut on_event).await;
        }

        let mut known = self.known;
        let revision = match self.target {
            Target::Existing { arn, .. } => arn,
            Target::New(request) => register(api, request, &mut on_event).await?,
            Target::Running => self.state.revision().to_owned(),
        };
        update(api, name, &revision, Force::No, &mut on_event).await?;
        let own = find_own(api, name, &revision, &mut known, interval).await?;
        Ok(started(own.arn, revision))
    }

    /// Follows the deployment of the revision that runs already, begins it again if it failed, or does nothing.
    async fn resume(
        self,
        api: &impl Api,
        name: &ServiceName,
        interval: Duration,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> Result<Update, Error> {
        let revision = self.state.revision().to_owned();
        if self.state.rollout() == Rollout::Failed {
            let mut known = self.known;
            on_event(DeployEvent::FailedBefore);
            update(api, name, &revision, Force::Yes, on_event).await?;
            let own = find_own(api, name, &revision, &mut known, interval).await?;
            return Ok(started(own.arn, revision));
        }

        // ECS names the last deployment even if it has ended.
        let current = match self.state.current_deployment() {
            Some(arn) => describe_deployment(api, arn)
                .await?
                .map(|state| (arn, state)),
            None => None,
        };
        match current {
            Some((deployment, state)) if !state.is_final() => {
                on_event(DeployEvent::InProgress { deployment });
                Ok(started(deployment.to_owned(), revision))
            }
            _ => Ok(Update::Unchanged { revision }),
        }
    }
}

async fn target(
    api: &impl Api,
    change: &Change,
    state: &ServiceState,
    running: &RawRevision,
) -> Result<Target, Error> {
    match change {
        Change::Images(images) if running.has(images) => Ok(Target::Running),
        Change::Images(images) => Ok(Target::New(running.with_images(images)?)),
        Change::Revision(arn) if arn == state.revision() => Ok(Target::Running),
        Change::Revision(arn) => Ok(Target::Existing {
            arn: arn.clone(),
            document: RawRevision::read(api, arn).await?.document().clone(),
        }),
        Change::Definition(definition) => definition_target(api, definition, running).await,
    }
}

async fn definition_target(
    api: &impl Api,
    definition: &TaskDefinition,
    running: &RawRevision,
) -> Result<Target, Error> {
    if let Some(typed) = running.to_definition()
        && compare(&typed, definition) == Comparison::Same
    {
        return Ok(Target::Running);
    }

    // A deploy that was cut off after RegisterTaskDefinition left a revision that can be used.
    if let Some(latest) = describe(api, &definition.family).await?
        && latest.status == "ACTIVE"
        && compare(&latest.definition, definition) == Comparison::Same
    {
        return Ok(Target::Existing {
            arn: latest.arn,
            document: to_json(definition)?,
        });
    }
    Ok(Target::New(to_json(definition)?))
}

fn to_json(definition: &TaskDefinition) -> Result<Value, Error> {
    serde_json::to_value(definition).map_err(|error| {
        Error::InvalidRequest(format!(
            "cannot write `{}` as JSON: {error}",
            definition.family
        ))
    })
}

pub(super) async fn register(
    api: &impl Api,
    request: Value,
    on_event: &mut impl FnMut(DeployEvent<'_>),
) -> Result<String, Error> {
    let operation = Operation::RegisterTaskDefinition;
    let response = api.call(&Call::new(operation, request)).await?;
    let arn = response["taskDefinition"]["taskDefinitionArn"].as_str();
    let arn = arn.ok_or(Error::UnexpectedResponse {
        operation,
        status: 200,
    })?;
    on_event(DeployEvent::Registered { revision: arn });
    Ok(arn.to_owned())
}

/// Whether ECS starts new tasks for a revision that the service has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Force {
    Yes,
    No,
}

pub(super) async fn update(
    api: &impl Api,
    name: &ServiceName,
    revision: &str,
    force: Force,
    on_event: &mut impl FnMut(DeployEvent<'_>),
) -> Result<(), Error> {
    let mut body =
        json!({ "cluster": name.cluster(), "service": name.service(), "taskDefinition": revision });
    if force == Force::Yes {
        body["forceNewDeployment"] = true.into();
    }
    // Before the call: if it is cut, the update may have happened.
    on_event(DeployEvent::Updating { revision });
    api.call(&Call::new(Operation::UpdateService, body)).await?;
    Ok(())
}

fn started(deployment: String, revision: String) -> Update {
    Update::Started(StartedDeployment {
        deployment,
        revision,
    })
}
