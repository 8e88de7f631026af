//! A service as DescribeServices returns it.

use serde_json::{Value, json};

use super::ServiceName;
use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// A service as it is now.
#[derive(Debug, Clone)]
pub struct ServiceState {
    document: Value,
}

impl ServiceState {
    /// Returns the response of ECS for this service.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Returns the ARN of the revision that the service runs, or that its deployment leads to.
    pub fn revision(&self) -> &str {
        self.text("taskDefinition")
    }

    /// Returns the ARN of the last service deployment; it may have ended.
    pub fn current_deployment(&self) -> Option<&str> {
        self.document["currentServiceDeployment"].as_str()
    }

    /// Returns whether tasks can be reached with ExecuteCommand.
    pub fn allows_exec(&self) -> bool {
        self.document["enableExecuteCommand"] == true
    }

    /// Returns the deployment with the status PRIMARY: the newest.
    pub(crate) fn primary(&self) -> Option<&Value> {
        let deployments = self.document["deployments"].as_array()?;
        deployments
            .iter()
            .find(|deployment| deployment["status"] == "PRIMARY")
    }

    /// Returns the state of the newest deployment.
    pub(crate) fn rollout(&self) -> Rollout {
        match self.primary().map(|primary| &primary["rolloutState"]) {
            Some(state) if state == "FAILED" => Rollout::Failed,
            _ => Rollout::Other,
        }
    }

    /// Refuses services that UpdateService cannot deploy to.
    pub(crate) fn check_deployable(&self, name: &ServiceName) -> Result<(), Error> {
        let status = self.text("status");
        if status != "ACTIVE" {
            return Err(Error::ServiceNotFound {
                name: name.to_string(),
                detail: format!("its status is {status}"),
            });
        }

        // UpdateService refuses a task definition for both other controllers ("Amazon ECS deployment controllers").
        let remedy = match self.document["deploymentController"]["type"].as_str() {
            None | Some("ECS") => return Ok(()),
            Some("CODE_DEPLOY") => {
                "deploy it with CodeDeploy, or migrate it: UpdateService can change the controller to ECS, whose \
                 strategy BLUE_GREEN replaces that of CodeDeploy"
            }
            Some(_) => "its task sets are made by another tool; deploy it with that tool",
        };
        Err(Error::UnsupportedController {
            name: name.to_string(),
            controller: self.document["deploymentController"]["type"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            remedy,
        })
    }

    fn text(&self, field: &str) -> &str {
        self.document[field].as_str().unwrap_or_default()
    }
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rollout {
    Failed,
    /// In progress or completed.
    Other,
}

/// Returns a service.
pub async fn describe_service(api: &impl Api, name: &ServiceName) -> Result<ServiceState, Error> {
    let body = json!({ "cluster": name.cluster(), "services": [name.service()] });
    let mut response = api
        .call(&Call::new(Operation::DescribeServices, body))
        .await?;

    match response["services"].get_mut(0) {
        Some(service) if service["status"] != "INACTIVE" => Ok(ServiceState {
            document: service.take(),
        }),
        Some(_) => Err(not_found(name, "it was deleted")),
        None => {
            let reason = response["failures"][0]["reason"].as_str();
            let detail = match reason {
                Some("MISSING") | None => "no service of this name in the cluster",
                Some(reason) => reason,
            };
            Err(not_found(name, detail))
        }
    }
}

fn not_found(name: &ServiceName, detail: &str) -> Error {
    Error::ServiceNotFound {
        name: name.to_string(),
        detail: detail.to_owned(),
    }
}
