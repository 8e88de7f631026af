//! Shows a deployment that CloudFormation began.

use super::deployments::{definitions, list};
use super::follow::{Follower, Look};
use super::update::StartedDeployment;
use super::{DeployEvent, ServiceName};
use crate::api::Api;
use crate::error::Error;

/// Looks at the deployment of a revision. Errors never end the wait for CloudFormation, which decides on the outcome.
pub(crate) struct DeploymentWatch {
    name: ServiceName,
    revision: String,
    follower: Option<Follower>,
    /// Whether there is nothing more to see.
    is_over: bool,
}

impl DeploymentWatch {
    pub(crate) fn new(name: ServiceName, revision: &str) -> Self {
        Self {
            name,
            revision: revision.to_owned(),
            follower: None,
            is_over: false,
        }
    }

    pub(crate) fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Reports what changed since the last look.
    pub(crate) async fn look(&mut self, api: &impl Api, mut on_event: impl FnMut(DeployEvent<'_>)) {
        if self.is_over {
            return;
        }
        match self.try_look(api, &mut on_event).await {
            Ok(Some(Look::Ended(_))) => self.is_over = true,
            // A service that CloudFormation creates is not always visible at once.
            Ok(_) | Err(Error::ServiceNotFound { .. }) => {}
            Err(error) if error.is_transient() => {}
            Err(error) => {
                self.is_over = true;
                on_event(DeployEvent::NoDetails {
                    reason: &error.to_string(),
                });
            }
        }
    }

    async fn try_look(
        &mut self,
        api: &impl Api,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> Result<Option<Look>, Error> {
        if self.follower.is_none() {
            self.follower = self.find(api).await?;
        }
        match &mut self.follower {
            Some(follower) => follower.look(api, on_event).await.map(Some),
            None => Ok(None),
        }
    }

    /// Finds the deployment of the revision: the newest one.
    async fn find(&self, api: &impl Api) -> Result<Option<Follower>, Error> {
        let listed = list(api, &self.name).await?;
        // One that succeeded is of an earlier time, or has nothing more to show.
        let Some(newest) = listed.first().filter(|it| it.status != "SUCCESSFUL") else {
            return Ok(None);
        };
        let found = definitions(api, [newest.target.as_str()].into_iter()).await?;
        let started = StartedDeployment {
            deployment: newest.arn.clone(),
            revision: self.revision.clone(),
        };
        let is_own = found.get(&newest.target) == Some(&self.revision);
        Ok(is_own.then(|| Follower::new(&self.name, &started)))
    }
}
