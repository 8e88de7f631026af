//! A service deployment as it goes on.

use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// A service deployment at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentState {
    /// `PENDING`, `IN_PROGRESS`, `SUCCESSFUL`, `STOPPED`, `ROLLBACK_IN_PROGRESS` …
    pub status: String,
    /// Why it has this status.
    pub reason: Option<String>,
    /// `ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: String,
    /// The stage, such as `SCALE_UP` or `BAKE_TIME`.
    pub stage: Option<String>,
    /// The tasks of the new revision.
    pub target: RevisionTasks,
    /// The tasks of the revisions that it replaces, together.
    pub sources: RevisionTasks,
    /// The failures that the circuit breaker has counted, and how many end the deployment.
    pub failures: Option<(u64, u64)>,
    /// Whether the circuit breaker or an alarm has ended the deployment.
    pub is_tripped: bool,
    /// The alarms that are in the state ALARM.
    pub alarms: Vec<String>,
    /// The hooks that wait for an answer.
    pub pauses: Vec<Pause>,
    /// The ARN of the service revision that ECS returns to.
    pub rollback_to: Option<String>,
    pub(crate) created_at: f64,
}

/// The tasks of a revision in a deployment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RevisionTasks {
    /// The number of tasks to run.
    pub requested: u64,
    /// The number of running tasks.
    pub running: u64,
    /// The number of tasks that start.
    pub pending: u64,
    /// The share of the production traffic in percent, if the strategy shifts traffic.
    pub traffic: Option<f64>,
}

/// A hook that waits for an answer: ContinueServiceDeployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// The id of the hook.
    pub hook: String,
    /// When the wait ends, in seconds since 1970.
    pub expires_at: Option<f64>,
    /// What ECS does then: `ROLLBACK` or `CONTINUE`.
    pub timeout_action: String,
}

impl DeploymentState {
    /// Reads a deployment of DescribeServiceDeployments.
    pub(crate) fn from_json(deployment: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let configuration = &deployment["deploymentConfiguration"];
        let breaker = &deployment["deploymentCircuitBreaker"];
        let alarms = &deployment["alarms"];
        let hooks = items(&deployment["lifecycleHookDetails"]);
        let sources = items(&deployment["sourceServiceRevisions"]).map(RevisionTasks::from_json);

        Self {
            status: text(&deployment["status"]).unwrap_or_default(),
            reason: text(&deployment["statusReason"])
                .or_else(|| text(&deployment["rollback"]["reason"])),
            // Services of before July 2025 have no strategy in their configuration.
            strategy: text(&configuration["strategy"]).unwrap_or_else(|| "ROLLING".to_owned()),
            stage: text(&deployment["lifecycleStage"]),
            target: RevisionTasks::from_json(&deployment["targetServiceRevision"]),
            sources: sources.fold(RevisionTasks::default(), RevisionTasks::and),
            failures: breaker["failureCount"]
                .as_u64()
                .zip(breaker["threshold"].as_u64()),
            is_tripped: [breaker, alarms]
                .iter()
                .any(|part| part["status"] == "TRIGGERED"),
            alarms: items(&alarms["triggeredAlarmNames"])
                .filter_map(text)
                .collect(),
            pauses: hooks.filter_map(Pause::from_json).collect(),
            rollback_to: text(&deployment["rollback"]["serviceRevisionArn"]),
            created_at: deployment["createdAt"].as_f64().unwrap_or_default(),
        }
    }

    /// Returns whether the deployment has ended.
    pub fn is_final(&self) -> bool {
        matches!(
            self.status.as_str(),
            "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED"
        )
    }

    /// Returns whether ECS goes back to the revision before.
    pub fn is_rollback(&self) -> bool {
        self.status.starts_with("ROLLBACK_")
    }
}

impl RevisionTasks {
    fn from_json(revision: &Value) -> Self {
        let count = |field: &str| revision[field].as_u64().unwrap_or_default();
        Self {
            requested: count("requestedTaskCount"),
            running: count("runningTaskCount"),
            pending: count("pendingTaskCount"),
            traffic: revision["requestedProductionTrafficWeight"].as_f64(),
        }
    }

    fn and(self, other: Self) -> Self {
        let traffic = match (self.traffic, other.traffic) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Self {
            requested: self.requested + other.requested,
            running: self.running + other.running,
            pending: self.pending + other.pending,
            traffic,
        }
    }
}

impl Pause {
    fn from_json(hook: &Value) -> Option<Self> {
        if hook["status"] != "AWAITING_ACTION" {
            return None;
        }
        Some(Self {
            hook: hook["hookId"].as_str()?.to_owned(),
            expires_at: hook["expiresAt"].as_f64(),
            timeout_action: hook["timeoutAction"]
                .as_str()
                .unwrap_or("ROLLBACK")
                .to_owned(),
        })
    }
}

/// Returns a service deployment; `None` if ECS does not know it.
pub async fn describe_deployment(
    api: &impl Api,
    arn: &str,
) -> Result<Option<DeploymentState>, Error> {
    let body = json!({ "serviceDeploymentArns": [arn] });
    let response = api
        .call(&Call::new(Operation::DescribeServiceDeployments, body))
        .await?;
    let found = response["serviceDeployments"].get(0);
    Ok(found.map(DeploymentState::from_json))
}

pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
