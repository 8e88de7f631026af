//! Follows an operation of a stack until it ends, and the deployment of its service meanwhile.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::StackEvent;
use super::plan::ExecutedChangeSet;
use super::state::is_busy;
use crate::api::{Api, Call, Operation};
use crate::deploy::{DeployEvent, DeploymentWatch, FollowWait, ServiceName};
use crate::error::Error;

/// How an operation of a stack ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackOutcome {
    /// The stack is as it was asked for.
    Succeeded,
    /// CloudFormation went back, or could not.
    Failed {
        /// The status of the stack, such as `UPDATE_ROLLBACK_COMPLETE`.
        status: String,
        /// The first failure: the resource, its type, and the reason.
        cause: Option<FailedResource>,
    },
}

/// The resource that failed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedResource {
    /// The logical id.
    pub name: String,
    /// The type, such as `AWS::ECS::Service`.
    pub kind: String,
    /// The reason of CloudFormation.
    pub reason: String,
}

/// Follows an operation until it ends, and reports what happens.
pub async fn follow_stack(
    api: &impl Api,
    executed: &ExecutedChangeSet,
    wait: FollowWait,
    mut on_event: impl FnMut(StackEvent<'_>),
) -> Result<StackOutcome, Error> {
    let end = Instant::now() + wait.timeout;
    let mut follower = Follower::new(executed);
    let unfollowed = |source| Error::StackUnfollowed {
        name: executed.stack.clone(),
        source: Box::new(source),
    };

    loop {
        match follower.look(api, &mut on_event).await {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => {}
            // The operation goes on, so a fault or a limit must not end the wait.
            Err(error) if error.is_transient() => on_event(StackEvent::Retry {
                reason: &error.to_string(),
            }),
            Err(error) => return Err(unfollowed(error)),
        }

        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::StackTimeout {
                name: executed.stack.clone(),
                status: follower.status,
                timeout: wait.timeout,
            });
        }
        // Longer at random, so that several deploys do not call at the same time.
        sleep(wait.interval.mul_f64(1.0 + fastrand::f64() / 4.0).min(left)).await;
    }
}

struct Follower<'a> {
    executed: &'a ExecutedChangeSet,
    /// The ids of the events that were reported.
    seen: BTreeSet<String>,
    status: String,
    cause: Option<FailedResource>,
    /// The ARN of the revision that the operation leads to.
    revision: Option<String>,
    service: Option<DeploymentWatch>,
}

impl<'a> Follower<'a> {
    fn new(executed: &'a ExecutedChangeSet) -> Self {
        Self {
            executed,
            seen: BTreeSet::new(),
            status: "unknown".to_owned(),
            cause: None,
            revision: executed.revision.clone(),
            service: None,
        }
    }

    async fn look(
        &mut self,
        api: &impl Api,
        on_event: &mut impl FnMut(StackEvent<'_>),
    ) -> Result<Option<StackOutcome>, Error> {
        let mut end = None;
        for event in self.new_events(api).await? {
            if let Some(status) = self.report(&event, on_event) {
                end = Some(status);
            }
        }

        // After a failure of the service too: its tasks say why.
        if let Some(watch) = &mut self.service {
            let service = watch.name().clone();
            let report = |event: DeployEvent<'_>| {
                on_event(StackEvent::Service {
                    service: &service,
                    event,
                });
            };
            watch.look(api, report).await;
        }
        Ok(end.map(|status| self.outcome(status)))
    }

    /// Returns the events since the last look, the oldest first.
    async fn new_events(&mut self, api: &impl Api) -> Result<Vec<Value>, Error> {
        let (mut new, mut next) = (Vec::new(), Value::Null);
        'pages: for _ in 0..MAX_PAGES {
            let body = json!({ "StackName": self.executed.stack, "NextToken": next });
            let call = Call::new(Operation::DescribeStackEvents, body);
            let mut page = api.call(&call).await?;
            let events = page["StackEvents"].as_array_mut().map(std::mem::take);

            // CloudFormation returns the newest first.
            for event in events.unwrap_or_default() {
                let id = event["EventId"].as_str().unwrap_or_default();
                if self.executed.last_event.as_deref() == Some(id) || self.seen.contains(id) {
                    break 'pages;
                }
                new.push(event);
            }
            next = page["NextToken"].take();
            if !next.is_string() {
                break;
            }
        }

        // Only after all pages, so that a page that fails is read again.
        let ids = new.iter().filter_map(|event| event["EventId"].as_str());
        self.seen.extend(ids.map(str::to_owned));
        new.reverse();
        Ok(new)
    }

    /// Reports an event. Returns the status of the stack if the operation ended.
    fn report(
        &mut self,
        event: &Value,
        on_event: &mut impl FnMut(StackEvent<'_>),
    ) -> Option<String> {
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        let (name, kind, status) = (
            text("LogicalResourceId"),
            text("ResourceType"),
            text("ResourceStatus"),
        );
        let reason = event["ResourceStatusReason"].as_str();
        on_event(StackEvent::Resource {
            name,
            kind,
            status,
            reason,
        });

        if kind == STACK_TYPE && text("PhysicalResourceId") == text("StackId") {
            status.clone_into(&mut self.status);
            return (!is_busy(status)).then(|| status.to_owned());
        }
        if status.ends_with("_FAILED") {
            self.note_failure(name, kind, reason.unwrap_or("no reason given"));
        }

        let resource = text("PhysicalResourceId");
        match kind {
            "AWS::ECS::TaskDefinition"
                if matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE") =>
            {
                self.revision = Some(resource.to_owned());
            }
            "AWS::ECS::Service" if self.service.is_none() => self.watch(status, resource),
            _ => {}
        }
        None
    }

    /// Follows the deployment of the service, whose ARN an event has as soon as it exists.
    fn watch(&mut self, status: &str, arn: &str) {
        if matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS")
            && let Ok(name) = arn.parse::<ServiceName>()
            && let Some(revision) = &self.revision
        {
            self.service = Some(DeploymentWatch::new(name, revision));
        }
    }

    fn note_failure(&mut self, name: &str, kind: &str, reason: &str) {
        // What is cancelled failed because of another resource.
        if self.cause.is_none() && !reason.contains("cancelled") {
            self.cause = Some(FailedResource {
                name: name.to_owned(),
                kind: kind.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }

    fn outcome(&mut self, status: String) -> StackOutcome {
        match status.as_str() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "DELETE_COMPLETE" => StackOutcome::Succeeded,
            _ => StackOutcome::Failed {
                status,
                cause: self.cause.take(),
            },
        }
    }
}

const STACK_TYPE: &str = "AWS::CloudFormation::Stack";
/// A page has 100 events.
const MAX_PAGES: usize = 20;
