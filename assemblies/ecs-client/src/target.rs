//! A container of a running task, to run a command in or to forward a port to.

use std::fmt;

use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::deploy::{ServiceName, TaskName};
use crate::error::Error;

/// A container of a running task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerTarget {
    cluster: String,
    task: String,
    container: String,
    runtime_id: String,
}

/// A session of Systems Manager, which the session-manager-plugin continues. It has a token, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    response: Value,
    /// The target, as the plugin expects it.
    pub target: String,
}

impl Session {
    /// Returns the JSON that the plugin takes; it has the token.
    pub fn response(&self) -> &Value {
        &self.response
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Returns a task that has not been forgotten.
pub(crate) async fn describe_task(api: &impl Api, name: &TaskName) -> Result<Value, Error> {
    let body = json!({ "cluster": name.cluster(), "tasks": [name.task()] });
    let mut response = api.call(&Call::new(Operation::DescribeTasks, body)).await?;
    match response["tasks"].get_mut(0) {
        Some(task) => Ok(task.take()),
        None => Err(Error::TaskNotFound {
            task: name.task().to_owned(),
        }),
    }
}

/// Returns the name of a running task of a service.
pub async fn running_task(api: &impl Api, name: &ServiceName) -> Result<TaskName, Error> {
    let body = json!({ "cluster": name.cluster(), "serviceName": name.service(),
        "desiredStatus": "RUNNING", "maxResults": 1 });
    let response = api.call(&Call::new(Operation::ListTasks, body)).await?;
    let arn = response["taskArns"][0].as_str();
    let task = arn.and_then(|arn| arn.parse().ok());
    task.ok_or_else(|| Error::NoTarget {
        what: name.to_string(),
        detail: "no task is running".to_owned(),
    })
}

/// Finds a container of a task, and checks that ECS Exec reaches it.
pub async fn container_target(
    api: &impl Api,
    name: &TaskName,
    container: &str,
) -> Result<ContainerTarget, Error> {
    let task = describe_task(api, name).await?;
    let arn = task["taskArn"].as_str().unwrap_or_default();
    let no_target = |detail: String| Error::NoTarget {
        what: arn.to_owned(),
        detail,
    };

    let status = task["lastStatus"].as_str().unwrap_or("UNKNOWN");
    if status != "RUNNING" {
        return Err(no_target(format!("its status is {status}")));
    }

    let containers = task["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(found) = containers.iter().find(|it| it["name"] == container) else {
        let names: Vec<_> = containers
            .iter()
            .filter_map(|it| it["name"].as_str())
            .collect();
        return Err(no_target(format!(
            "it has no container `{container}`; it has {}",
            names.join(", ")
        )));
    };

    if task["enableExecuteCommand"] != true {
        return Err(no_target(format!(
            "ECS Exec is not enabled; new tasks get it with `aws ecs update-service --cluster {} --service NAME \
             --enable-execute-command --force-new-deployment`",
            name.cluster()
        )));
    }
    check_agent(found).map_err(no_target)?;

    let Some(runtime_id) = found["runtimeId"].as_str() else {
        return Err(no_target(format!(
            "the container `{container}` is not running"
        )));
    };
    Ok(ContainerTarget {
        cluster: name.cluster().to_owned(),
        task: arn.to_owned(),
        container: container.to_owned(),
        runtime_id: runtime_id.to_owned(),
    })
}

/// Checks that the agent of ECS Exec runs in a container.
fn check_agent(container: &Value) -> Result<(), String> {
    let agents = container["managedAgents"].as_array();
    let agent = agents
        .into_iter()
        .flatten()
        .find(|it| it["name"] == "ExecuteCommandAgent");
    let status = agent.and_then(|agent| agent["lastStatus"].as_str());
    if matches!(status, None | Some("RUNNING")) {
        return Ok(());
    }
    let reason = agent.and_then(|agent| agent["reason"].as_str());
    Err(format!(
        "the agent of ECS Exec is {}{}: {AGENT_NEEDS}",
        status.unwrap_or("UNKNOWN"),
        reason.map_or_else(String::new, |reason| format!(" ({reason})")),
    ))
}

impl ContainerTarget {
    /// Starts a session that runs a command (ExecuteCommand).
    pub async fn execute(&self, api: &impl Api, command: &str) -> Result<Session, Error> {
        // Only interactive commands are supported (ECS API reference).
        let body = json!({ "cluster": self.cluster, "task": self.task, "container": self.container,
            "command": command, "interactive": true });
        let call = Call::new(Operation::ExecuteCommand, body);
        match api.call(&call).await {
            Ok(mut response) => Ok(self.session(response["session"].take())),
            Err(Error::Refused { code, message, .. }) if code == "TargetNotConnectedException" => {
                Err(Error::NoTarget {
                    what: self.task.clone(),
                    detail: format!("{message} ({code}): {AGENT_NEEDS}"),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Starts a session that forwards a local port to a port of the container.
    pub async fn forward(&self, api: &impl Api, port: u16, local: u16) -> Result<Session, Error> {
        let body = json!({ "Target": self.id(), "DocumentName": "AWS-StartPortForwardingSession",
            "Parameters": { "portNumber": [port.to_string()], "localPortNumber": [local.to_string()] } });
        let response = api.call(&Call::new(Operation::StartSession, body)).await?;
        Ok(self.session(response))
    }

    /// Returns the id of the target in Systems Manager: `ecs:CLUSTER_TASK_RUNTIME`.
    pub fn id(&self) -> String {
        let task = self.task.rsplit('/').next().unwrap_or_default();
        format!("ecs:{}_{task}_{}", self.cluster, self.runtime_id)
    }

    fn session(&self, response: Value) -> Session {
        Session {
            response,
            target: self.id(),
        }
    }
}

/// Source: "Monitor Amazon ECS containers with ECS Exec"; the paths: aws/containers-roadmap#1359.
const AGENT_NEEDS: &str = "the task role must allow ssmmessages:CreateControlChannel, CreateDataChannel, \
    OpenControlChannel and OpenDataChannel, the subnets need a route to ssmmessages, and a read-only root file system \
    needs writable volumes at /managed-agents, /var/lib/amazon/ssm and /var/log/amazon/ssm";
