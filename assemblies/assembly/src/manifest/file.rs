//! The manifest, field by field: what the user writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::running::{Cooldown, Deployment, LoadBalancer, OnFailure, Spot};
use crate::rule_config::RuleSetting;

/// A task: an app, what stands in front of it and beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Assembly")]
pub struct ManifestFile {
    /// The name: of the assembly, the task definition's family, the log group and the roles.
    pub name: String,
    /// What it does, in one line.
    #[serde(default)]
    pub summary: String,
    /// The component the task exists for.
    pub app: String,
    /// The proxies in front of the app, outermost first.
    #[serde(default)]
    pub ingress: Vec<String>,
    /// The components beside the app.
    #[serde(default)]
    pub sidecars: Vec<String>,
    /// The components that run to their end, one after the other, before the app starts.
    #[serde(default)]
    pub init: Vec<String>,
    /// Settings by component and name; a nested setting can be written nested or dotted.
    #[serde(default)]
    pub settings: BTreeMap<String, Map<String, Value>>,
    /// Secret settings by component and name: the ARN of a secret or parameter.
    #[serde(default)]
    pub secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// The KMS keys of secrets that are not encrypted with AWS's own: their ARNs.
    #[serde(default)]
    pub secret_keys: Vec<String>,
    /// Says that the task serves until it is told to stop.
    #[serde(default)]
    pub service: Option<Service>,
    /// Says that the task is started by an event and ends by itself.
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
    /// The order of the containers in the definition, where it is not ingress, app, sidecars, init. It
    /// says nothing about the order in which they start.
    #[serde(default)]
    pub order: Vec<String>,
    /// The task's size, where the smallest that fits is not wanted.
    #[serde(default)]
    pub size: TaskSize,
    /// Fields of one container, in the task definition's words; they win over what was derived.
    #[serde(default)]
    pub overrides: BTreeMap<String, Map<String, Value>>,
    /// Task-definition JSON laid over the result at the very end. Lists whose items have a `name` are
    /// merged by it; `null` takes a field away.
    #[serde(default)]
    pub patch: Option<Map<String, Value>>,
    /// CloudFormation laid over the stack at the very end, as `patch` is over the task definition.
    #[serde(default)]
    pub stack: Option<Map<String, Value>>,
    /// By environment (the name of its values), what is different there; it is laid over the rest.
    #[serde(default)]
    pub environments: BTreeMap<String, EnvironmentFile>,
    /// Values for `${…}` in this file that the environment's values may replace.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// By the id of a rule: how bad its findings are here, and why.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleSetting>,
}

/// What is different in one environment. Words are laid over those of the manifest field by field; `null`
/// takes one away.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// Settings by component and name.
    #[serde(default)]
    pub settings: BTreeMap<String, Map<String, Value>>,
    /// Secret settings by component and name; `null` takes one away.
    #[serde(default)]
    pub secrets: BTreeMap<String, Map<String, Value>>,
    /// How many tasks serve.
    #[serde(default)]
    pub service: Option<Map<String, Value>>,
    /// What starts a task.
    #[serde(default)]
    pub on_demand: Option<Map<String, Value>>,
    /// The task's size.
    #[serde(default)]
    pub size: Option<Map<String, Value>>,
    /// Fields of one container, in the task definition's words.
    #[serde(default)]
    pub overrides: BTreeMap<String, Map<String, Value>>,
    /// Task-definition JSON laid over the result at the very end.
    #[serde(default)]
    pub patch: Option<Map<String, Value>>,
    /// CloudFormation laid over the stack at the very end.
    #[serde(default)]
    pub stack: Option<Map<String, Value>>,
}

/// A task that serves until it is told to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The fewest tasks.
    #[serde(default = "one")]
    pub min: u32,
    /// The most tasks.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub max: u32,
    /// What to keep steady by starting and stopping tasks.
    #[serde(default)]
    pub target: Option<Target>,
    /// Seconds between two looks at CPU and memory: 60, or 20, which costs more and sees a crowd four times
    /// as early.
    #[serde(default)]
    pub resolution: Option<u32>,
    /// How long scaling waits for its last step to show.
    #[serde(default)]
    pub cooldown: Option<Cooldown>,
    /// Whether tasks are taken away again when there is less to do.
    #[serde(default = "yes")]
    pub scale_in: bool,
    /// What stands between the clients and the tasks. Left out, `application` where requests are counted or
    /// the outermost hop speaks plain HTTP, otherwise `network`.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Which part of the tasks runs on Spot; none when left out.
    #[serde(default)]
    pub spot: Option<Spot>,
    /// Whether `aws ecs execute-command` may open a shell in a container.
    #[serde(default)]
    pub exec: bool,
    /// How many tasks run while a new version takes over from the old one.
    #[serde(default)]
    pub deployment: Deployment,
}

/// What to keep steady by starting and stopping tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Requests a minute that one task gets.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub requests_per_task: Option<u32>,
    /// The average CPU use in percent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub cpu: Option<u32>,
    /// The average memory use in percent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub memory: Option<u32>,
}

/// A task that is started when an object lands in a bucket, and ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnDemand {
    /// The bucket whose new objects start a task.
    pub bucket: String,
    /// Only objects whose key begins so.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Only objects whose key ends so.
    #[serde(default)]
    pub suffix: Option<String>,
    /// The bucket the results go to.
    #[serde(default)]
    pub output_bucket: Option<String>,
    /// Whether events wait in a queue, so that more may come than tasks can be started.
    #[serde(default)]
    pub queue: bool,
    /// How often starting a task is tried again before the event goes to the queue `NAME-undelivered`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 185))]
    pub retries: Option<u32>,
    /// What becomes of a task that ended without having done its work.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// The task's size, where the smallest that fits is not wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskSize {
    /// CPU units; 1024 are a vCPU.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub cpu: Option<u32>,
    /// MiB.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub memory: Option<u32>,
    /// The machine type.
    #[serde(default)]
    pub architecture: Architecture,
    /// By container: what it must have, and its part of what is left over, where the component says
    /// otherwise.
    #[serde(default)]
    pub containers: BTreeMap<String, ContainerSize>,
}

/// What a container must have of the task's size.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerSize {
    /// CPU units it must have.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub cpu: Option<u32>,
    /// MiB it must have.
    #[serde(default)]
    #[schemars(range(min = 6))]
    pub memory: Option<u32>,
    /// Its part of what is left over when the task's size is larger than the sum.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// The machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Architecture {
    /// Intel and AMD.
    #[default]
    #[serde(rename = "X86_64")]
    X86,
    /// Graviton.
    #[serde(rename = "ARM64")]
    Arm,
}

impl Architecture {
    /// The word ECS uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "X86_64",
            Self::Arm => "ARM64",
        }
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}
