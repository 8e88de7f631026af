//! Follows a deployment until it ends.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::deployments::{definitions, list};
use super::failures::FailedTasks;
use super::service::describe_service;
use super::state::{DeploymentState, describe_deployment, items};
use super::update::StartedDeployment;
use super::{DeployEvent, ServiceName};
use crate::api::Api;
use crate::error::Error;

/// How long to follow a deployment, and how often to look.
#[derive(Debug, Clone, Copy)]
pub struct FollowWait {
    /// The timeout. The deployment goes on after it.
    pub timeout: Duration,
    /// The time between two looks, at least; it grows to twice as long while nothing happens.
    pub interval: Duration,
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeploymentOutcome {
    /// The service runs the new revision.
    Succeeded,
    /// ECS went back to another revision.
    RolledBack {
        /// The ARN of the task definition that runs again.
        revision: Option<String>,
        /// The reason of ECS.
        reason: Option<String>,
    },
    /// ECS could not go back.
    RollbackFailed {
        /// The reason of ECS.
        reason: Option<String>,
    },
    /// The circuit breaker or an alarm ended the deployment, and the service has no rollback.
    Failed {
        /// The reason of ECS.
        reason: Option<String>,
    },
    /// The deployment was stopped by hand.
    Stopped {
        /// The reason of ECS.
        reason: Option<String>,
    },
    /// Another deployment replaced it.
    Replaced {
        /// The ARN of the other service deployment.
        by: String,
        /// The ARN of the revision that the other one leads to.
        revision: Option<String>,
    },
}

impl Default for FollowWait {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(30),
            interval: Duration::from_secs(2),
        }
    }
}

/// Follows a deployment until it ends, and reports what happens.
pub async fn follow(
    api: &impl Api,
    name: &ServiceName,
    started: &StartedDeployment,
    wait: FollowWait,
    mut on_event: impl FnMut(DeployEvent<'_>),
) -> Result<DeploymentOutcome, Error> {
    let end = Instant::now() + wait.timeout;
    let mut follower = Follower::new(name, started);
    let mut pause = wait.interval;

    loop {
        match follower.look(api, &mut on_event).await {
            Ok(Look::Ended(outcome)) => return Ok(outcome),
            Ok(Look::Changed) => pause = wait.interval,
            Ok(Look::Same) => pause = (pause + pause / 4).min(wait.interval * 2),
            // The deployment goes on, so a fault or a limit of ECS must not end the wait.
            Err(error) if error.is_transient() => on_event(DeployEvent::Retry {
                reason: &error.to_string(),
            }),
            Err(error) => return Err(follower.follow_error(error)),
        }

        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(follower.timed_out(wait.timeout));
        }
        // Longer at random, so that several deploys do not call at the same time.
        sleep(pause.mul_f64(1.0 + fastrand::f64() / 4.0).min(left)).await;
    }
}

pub(super) struct Follower {
    name: ServiceName,
    started: StartedDeployment,
    state: Option<DeploymentState>,
    /// The ids of the events that were reported.
    events: BTreeSet<String>,
    failed: FailedTasks,
}

/// What a look at the deployment showed.
pub(super) enum Look {
    Same,
    Changed,
    Ended(DeploymentOutcome),
}

impl Follower {
    pub(super) fn new(name: &ServiceName, started: &StartedDeployment) -> Self {
        Self {
            name: name.clone(),
            started: started.clone(),
            state: None,
            events: BTreeSet::new(),
            failed: FailedTasks::new(name, &started.revision),
        }
    }

    pub(super) async fn look(
        &mut self,
        api: &impl Api,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> Result<Look, Error> {
        let deployment = &self.started.deployment;
        let Some(state) = describe_deployment(api, deployment).await? else {
            return Err(Error::NoDeployment {
                name: self.name.to_string(),
                revision: self.started.revision.clone(),
            });
        };

        let is_changed = self.state.as_ref() != Some(&state);
        if is_changed {
            on_event(DeployEvent::State {
                now: &state,
                before: self.state.as_ref(),
            });
        }

        let service = describe_service(api, &self.name).await?;
        let has_events = self.report_events(service.document(), state.created_at, on_event);
        let outcome = self.outcome(api, &state).await?;
        let is_failure =
            matches!(&outcome, Some(outcome) if *outcome != DeploymentOutcome::Succeeded);
        let primary = service.primary().unwrap_or(&Value::Null);
        let failures = primary["failedTasks"].as_u64().unwrap_or_default()
            + state.failures.map_or(0, |(count, _)| count);
        self.failed
            .look(api, failures, is_failure || has_events, on_event)
            .await;

        self.state = Some(state);
        Ok(match outcome {
            Some(outcome) => Look::Ended(outcome),
            None if is_changed || has_events => Look::Changed,
            None => Look::Same,
        })
    }

    /// Reports the events of the service since the deployment began. Returns whether there were any.
    fn report_events(
        &mut self,
        service: &Value,
        since: f64,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> bool {
        let mut new: Vec<_> = items(&service["events"])
            .filter(|event| event["createdAt"].as_f64().unwrap_or_default() >= since)
            .filter(|event| {
                let id = event["id"].as_str().unwrap_or_default();
                !self.events.contains(id)
            })
            .collect();

        // ECS returns the newest first.
        new.reverse();
        for event in &new {
            let id = event["id"].as_str().unwrap_or_default();
            self.events.insert(id.to_owned());
            on_event(DeployEvent::Service {
                message: event["message"].as_str().unwrap_or_default(),
            });
        }
        !new.is_empty()
    }

    /// Returns how the deployment ended, if it did.
    async fn outcome(
        &self,
        api: &impl Api,
        state: &DeploymentState,
    ) -> Result<Option<DeploymentOutcome>, Error> {
        let reason = state.reason.clone();
        Ok(Some(match state.status.as_str() {
            "SUCCESSFUL" => DeploymentOutcome::Succeeded,
            "ROLLBACK_SUCCESSFUL" => DeploymentOutcome::RolledBack {
                revision: self.definition(api, state.rollback_to.as_deref()).await?,
                reason,
            },
            "ROLLBACK_FAILED" => DeploymentOutcome::RollbackFailed { reason },
            "STOPPED" if state.is_tripped => DeploymentOutcome::Failed { reason },
            "STOPPED" | "STOP_REQUESTED" => match self.replacement(api).await? {
                Some(replaced) => replaced,
                None if state.status == "STOPPED" => DeploymentOutcome::Stopped { reason },
                None => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    /// Returns the deployment that replaced this one.
    async fn replacement(&self, api: &impl Api) -> Result<Option<DeploymentOutcome>, Error> {
        let listed = list(api, &self.name).await?;
        let newer = listed
            .iter()
            .take_while(|other| other.arn != self.started.deployment);
        // The next one after ours; yet newer ones replaced that one.
        let Some(by) = newer.last() else {
            return Ok(None);
        };
        Ok(Some(DeploymentOutcome::Replaced {
            by: by.arn.clone(),
            revision: self.definition(api, Some(&by.target)).await?,
        }))
    }

    /// Returns the task definition of a service revision.
    async fn definition(
        &self,
        api: &impl Api,
        revision: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let Some(revision) = revision else {
            return Ok(None);
        };
        let mut found = definitions(api, [revision].into_iter()).await?;
        Ok(found.remove(revision))
    }

    fn follow_error(&self, source: Error) -> Error {
        Error::DeploymentUnfollowed {
            name: self.name.to_string(),
            revision: self.started.revision.clone(),
            source: Box::new(source),
        }
    }

    fn timed_out(&self, timeout: Duration) -> Error {
        let state = self.state.as_ref();
        Error::DeploymentTimeout {
            name: self.name.to_string(),
            status: state.map_or_else(|| "unknown".to_owned(), |state| state.status.clone()),
            timeout,
        }
    }
}
