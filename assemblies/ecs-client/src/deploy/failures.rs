//! The tasks that a deployment could not keep running: reasons, exit codes, last lines of output.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use task_definition::TaskDefinition;

use super::state::items;
use super::{DeployEvent, ServiceName};
use crate::api::{Api, Call, Operation};
use crate::error::Error;
use crate::register::latest;
use crate::run::{StoppedTask, log_stream, read_stopped};

/// A task that failed, and the output of the container that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedTask {
    /// The task.
    pub task: StoppedTask,
    /// The container that caused the failure, if it is known.
    pub container: Option<String>,
    /// The last lines of its output, if it goes to CloudWatch Logs.
    pub lines: Vec<String>,
}

/// Finds the failed tasks of a revision.
#[derive(Debug)]
pub(crate) struct FailedTasks {
    name: ServiceName,
    revision: String,
    definition: Option<TaskDefinition>,
    /// The tasks that were looked at.
    seen: BTreeSet<String>,
    /// What was reported, so that a hundred tasks with the same reason are reported once.
    reasons: BTreeSet<String>,
    /// The failures that ECS had counted at the last look.
    count: u64,
    has_permission: bool,
}

impl FailedTasks {
    pub(crate) fn new(name: &ServiceName, revision: &str) -> Self {
        Self {
            name: name.clone(),
            revision: revision.to_owned(),
            definition: None,
            seen: BTreeSet::new(),
            reasons: BTreeSet::new(),
            count: 0,
            has_permission: true,
        }
    }

    /// Reports new failed tasks if ECS counted more failures, or `force`. A fault or a missing permission is reported
    /// but ends nothing.
    pub(crate) async fn look(
        &mut self,
        api: &impl Api,
        count: u64,
        force: bool,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) {
        let is_more = count > self.count;
        self.count = count;
        if !(is_more || force) || !self.has_permission {
            return;
        }

        match self.find(api, on_event).await {
            Ok(()) => {}
            Err(error) if error.is_transient() => {}
            Err(error) => {
                // Once: a missing permission does not come back.
                self.has_permission = false;
                on_event(DeployEvent::NoDetails {
                    reason: &error.to_string(),
                });
            }
        }
    }

    async fn find(
        &mut self,
        api: &impl Api,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> Result<(), Error> {
        for task in self.stopped_tasks(api).await? {
            if !self.is_failure(&task) {
                continue;
            }
            if self.definition.is_none() {
                self.definition = latest(api, &self.revision).await?;
            }

            let stopped = read_stopped(&task, self.definition.as_ref());
            let cause = stopped.cause();
            let reason = format!(
                "{:?} {:?}",
                stopped.stopped_reason,
                cause.map(|container| (&container.name, container.exit_code, &container.reason))
            );
            if !self.reasons.insert(reason) || self.reasons.len() > MAX_REASONS {
                continue;
            }

            let container = cause.map(|container| container.name.clone());
            let lines = match &container {
                Some(container) => {
                    self.last_lines(api, container, &stopped.task, on_event)
                        .await
                }
                None => Vec::new(),
            };
            on_event(DeployEvent::FailedTask(&FailedTask {
                task: stopped,
                container,
                lines,
            }));
        }
        Ok(())
    }

    /// Returns the stopped tasks of the service that were not looked at. ECS knows them for about an hour.
    async fn stopped_tasks(&mut self, api: &impl Api) -> Result<Vec<Value>, Error> {
        let body = json!({ "cluster": self.name.cluster(), "serviceName": self.name.service(),
            "desiredStatus": "STOPPED", "maxResults": MAX_TASKS });
        let response = api.call(&Call::new(Operation::ListTasks, body)).await?;
        let arns = items(&response["taskArns"]).filter_map(Value::as_str);
        let new: Vec<_> = arns.filter(|arn| !self.seen.contains(*arn)).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }

        let body = json!({ "cluster": self.name.cluster(), "tasks": new });
        let mut response = api.call(&Call::new(Operation::DescribeTasks, body)).await?;
        let Value::Array(mut tasks) = response["tasks"].take() else {
            return Ok(Vec::new());
        };
        // A task that is still stopping has no exit codes yet.
        tasks.retain(|task| task["lastStatus"] == "STOPPED");
        self.seen.extend(
            tasks
                .iter()
                .filter_map(|task| Some(task["taskArn"].as_str()?.to_owned())),
        );
        Ok(tasks)
    }

    /// Returns whether a task of the revision failed, and was not stopped for another reason.
    fn is_failure(&self, task: &Value) -> bool {
        if task["taskDefinitionArn"] != self.revision.as_str() {
            return false;
        }
        let reason = task["stoppedReason"].as_str().unwrap_or_default();
        match task["stopCode"].as_str() {
            Some("UserInitiated" | "SpotInterruption" | "TerminationNotice") => false,
            // The scheduler stops tasks that fail health checks, and those that are no longer needed.
            Some("ServiceSchedulerInitiated") => {
                let reason = reason.to_lowercase();
                reason.contains("failed") || reason.contains("unhealthy")
            }
            _ => true,
        }
    }

    /// Returns the last lines of a container's output. Without a permission the reason of ECS is still useful.
    async fn last_lines(
        &self,
        api: &impl Api,
        container: &str,
        task: &str,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> Vec<String> {
        let definition = self.definition.as_ref();
        let found = definition.and_then(|definition| definition.container(container));
        let Some((group, stream)) = found.and_then(|container| log_stream(container, task)) else {
            return Vec::new();
        };

        let body = json!({ "logGroupName": group, "logStreamName": stream, "startFromHead": false,
            "limit": LAST_LINES });
        match api.call(&Call::new(Operation::GetLogEvents, body)).await {
            Ok(response) => items(&response["events"])
                .filter_map(|event| event["message"].as_str())
                .map(|line| line.trim_end().to_owned())
                .collect(),
            // The stream is created with the first line of output.
            Err(Error::Refused { code, .. }) if code == "ResourceNotFoundException" => Vec::new(),
            Err(error) => {
                on_event(DeployEvent::NoDetails {
                    reason: &error.to_string(),
                });
                Vec::new()
            }
        }
    }
}

/// The limit of DescribeTasks (ECS API reference).
const MAX_TASKS: usize = 100;
const MAX_REASONS: usize = 5;
const LAST_LINES: usize = 20;
