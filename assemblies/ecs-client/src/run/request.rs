//! The parameters of a run, and the RunTask request.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::error::Error;

/// The parameters of a run.
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// The name or ARN of the cluster.
    pub cluster: String,
    /// The family (its latest revision), `family:revision`, or an ARN.
    pub task_definition: String,
    /// The subnets to place the task in.
    pub subnets: Vec<String>,
    /// The security groups; empty for the default one of the VPC.
    pub security_groups: Vec<String>,
    /// Whether the task gets a public IP address.
    pub public_address: PublicAddress,
    /// The capacity to run on.
    pub capacity: Capacity,
    /// The number of tasks, from 1 to 10, the limit of RunTask; 0 is 1.
    pub count: usize,
    /// The task's CPU, instead of the definition's.
    pub cpu: Option<String>,
    /// The task's memory, instead of the definition's.
    pub memory: Option<String>,
    /// Overrides of the definition's containers.
    pub overrides: Vec<Override>,
    /// The value of `startedBy`, up to 128 characters.
    pub started_by: Option<String>,
    /// The client token. The same request with the same token returns the same task, for 24 hours or until an hour
    /// after the task has stopped. Without one, each run starts a task.
    ///
    /// Source: "Ensuring idempotency" in the ECS API reference.
    pub client_token: Option<String>,
    /// How long to wait, and for what.
    pub wait: Wait,
}

/// Whether the task gets a public IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicAddress {
    /// A public address, which a subnet without NAT needs to pull images.
    Yes,
    /// No public address.
    #[default]
    No,
}

/// The capacity that a task runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Capacity {
    /// Fargate.
    #[default]
    OnDemand,
    /// Fargate Spot: cheaper, and interrupted with a warning of two minutes.
    Spot,
}

/// Overrides of the definition's containers.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// The name of the container.
    pub container: String,
    /// The command, if it is overridden.
    pub command: Option<Vec<String>>,
    /// Environment variables to add or replace.
    pub environment: BTreeMap<String, String>,
}

/// What to wait for, the timeout, and the intervals between polls.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The timeout of everything: attempts to start the task, and the wait for it.
    pub timeout: Duration,
    /// The first interval between two polls or attempts; each further one is 1.5 times as long.
    pub interval: Duration,
    /// The maximum interval.
    pub max_interval: Duration,
    /// The state to wait for.
    pub until: WaitUntil,
    /// Whether the output of the containers is followed.
    pub logs: FollowLogs,
}

/// The state of a task to wait for. A task that stops ends every wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitUntil {
    /// All containers were started.
    Running,
    /// Every essential container with a health check is healthy.
    Healthy,
    /// The task ended.
    #[default]
    Stopped,
}

/// Whether the output of the containers is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FollowLogs {
    /// The output of containers with the log driver `awslogs` is reported.
    Yes,
    /// No output is read.
    #[default]
    No,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(30),
            interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(10),
            until: WaitUntil::default(),
            logs: FollowLogs::default(),
        }
    }
}

impl Wait {
    /// Returns the wait that is left after a time.
    pub fn after(self, elapsed: Duration) -> Self {
        Self {
            timeout: self.timeout.saturating_sub(elapsed),
            ..self
        }
    }
}

impl RunRequest {
    /// Returns the RunTask request for a number of tasks.
    pub(super) fn to_json(&self, count: usize, token: &str) -> Result<Value, Error> {
        self.check(token)?;
        let mut body = Map::new();
        let mut set = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };

        set("cluster", self.cluster.as_str().into());
        set("taskDefinition", self.task_definition.as_str().into());
        set("count", count.into());
        match self.capacity {
            Capacity::OnDemand => set("launchType", "FARGATE".into()),
            Capacity::Spot => set(
                "capacityProviderStrategy",
                json!([{ "capacityProvider": "FARGATE_SPOT", "weight": 1 }]),
            ),
        }
        set("networkConfiguration", self.network());

        if let Some(overrides) = self.overrides() {
            set("overrides", overrides);
        }
        if let Some(started_by) = &self.started_by {
            set("startedBy", started_by.as_str().into());
        }
        set("clientToken", token.into());

        Ok(body.into())
    }

    /// Checks what ECS would refuse with a less clear message.
    fn check(&self, token: &str) -> Result<(), Error> {
        let invalid = |message: &str| Err(Error::InvalidRequest(message.to_owned()));
        if self.subnets.is_empty() {
            return invalid("no subnet given; specify at least one");
        }
        if self.count > MAX_COUNT {
            return invalid("RunTask starts at most 10 tasks at once; run several times");
        }
        if token.len() > MAX_TOKEN || !token.bytes().all(|byte| (33..=126).contains(&byte)) {
            return invalid("a client token has up to 64 ASCII characters without spaces");
        }
        Ok(())
    }

    fn network(&self) -> Value {
        let address = match self.public_address {
            PublicAddress::Yes => "ENABLED",
            PublicAddress::No => "DISABLED",
        };
        let mut vpc = json!({ "subnets": self.subnets, "assignPublicIp": address });
        // An empty list is omitted, so that ECS applies its default.
        if !self.security_groups.is_empty() {
            vpc["securityGroups"] = json!(self.security_groups);
        }
        json!({ "awsvpcConfiguration": vpc })
    }

    fn overrides(&self) -> Option<Value> {
        let mut overrides = Map::new();
        if !self.overrides.is_empty() {
            let containers: Vec<_> = self.overrides.iter().map(Override::to_json).collect();
            overrides.insert("containerOverrides".to_owned(), containers.into());
        }
        for (name, value) in [("cpu", &self.cpu), ("memory", &self.memory)] {
            if let Some(value) = value {
                overrides.insert(name.to_owned(), value.as_str().into());
            }
        }
        (!overrides.is_empty()).then(|| overrides.into())
    }
}

impl Override {
    fn to_json(&self) -> Value {
        let mut body = json!({ "name": self.container });
        if let Some(command) = &self.command {
            body["command"] = json!(command);
        }
        if !self.environment.is_empty() {
            let pair = |(name, value): (&String, &String)| json!({ "name": name, "value": value });
            body["environment"] = self.environment.iter().map(pair).collect();
        }
        body
    }
}

/// Source: RunTask in the ECS API reference.
const MAX_COUNT: usize = 10;
const MAX_TOKEN: usize = 64;
