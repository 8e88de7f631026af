//! The fields of the manifest.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::running::{Cooldown, Deployment, LoadBalancer, OnFailure, Spot};
use crate::rule_config::RuleSetting;

/// A task: an app, its proxies and its sidecars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Assembly")]
pub struct ManifestFile {
    /// The name of the assembly, the task definition family, the log group and the roles.
    pub name: String,
    /// A one-line description.
    #[serde(default)]
    pub summary: String,
    /// The component that is the purpose of the task.
    pub app: String,
    /// The proxies in front of the app, outermost first.
    #[serde(default)]
    pub ingress: Vec<String>,
    /// The components next to the app.
    #[serde(default)]
    pub sidecars: Vec<String>,
    /// The components that run to completion, one after the other, before the app starts.
    #[serde(default)]
    pub init: Vec<String>,
    /// Settings, by component and name. A nested setting can be written nested or dotted.
    #[serde(default)]
    pub settings: BTreeMap<String, Map<String, Value>>,
    /// Secret settings, by component and name: the ARN of a secret or parameter.
    #[serde(default)]
    pub secrets: BTreeMap<String, BTreeMap<String, String>>,
    /// The ARNs of the KMS keys of secrets that are not encrypted with an AWS managed key.
    #[serde(default)]
    pub secret_keys: Vec<String>,
    /// Runs the task as a service, until it is stopped.
    #[serde(default)]
    pub service: Option<Service>,
    /// Starts the task for an event; it ends by itself.
    #[serde(default)]
    pub on_demand: Option<OnDemand>,
    /// The order of the containers in the definition; the default is ingress, app, sidecars, init. It does not
    /// affect the order in which they start.
    #[serde(default)]
    pub order: Vec<String>,
    /// The images of components that are in a bundle; the default is the bundle's image for two or more of them.
    #[serde(default)]
    pub images: Images,
    /// The task size; the default is the smallest that fits.
    #[serde(default)]
    pub size: TaskSize,
    /// Fields of one container, as in a task definition; they replace derived fields.
    #[serde(default)]
    pub overrides: BTreeMap<String, Map<String, Value>>,
    /// Task-definition JSON that is overlaid on the result as the last step. Lists of items with a `name` are
    /// merged by name; `null` removes a field.
    #[serde(default)]
    pub patch: Option<Map<String, Value>>,
    /// CloudFormation that is overlaid on the stack as the last step, like `patch` on the task definition.
    #[serde(default)]
    pub stack: Option<Map<String, Value>>,
    /// The differences of single environments, by the name of their values; they are overlaid on the rest.
    #[serde(default)]
    pub environments: BTreeMap<String, EnvironmentFile>,
    /// Values for `${…}` in this file. The values of an environment can replace them.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
    /// The severity of rules in this assembly, by rule id, with a reason.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleSetting>,
}

/// The differences of one environment. Fields are overlaid on those of the manifest; `null` removes one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// Settings, by component and name.
    #[serde(default)]
    pub settings: BTreeMap<String, Map<String, Value>>,
    /// Secret settings, by component and name; `null` removes one.
    #[serde(default)]
    pub secrets: BTreeMap<String, Map<String, Value>>,
    /// The number of tasks.
    #[serde(default)]
    pub service: Option<Map<String, Value>>,
    /// The trigger of a task.
    #[serde(default)]
    pub on_demand: Option<Map<String, Value>>,
    /// The task size.
    #[serde(default)]
    pub size: Option<Map<String, Value>>,
    /// Fields of one container, as in a task definition.
    #[serde(default)]
    pub overrides: BTreeMap<String, Map<String, Value>>,
    /// Task-definition JSON that is overlaid on the result as the last step.
    #[serde(default)]
    pub patch: Option<Map<String, Value>>,
    /// CloudFormation that is overlaid on the stack as the last step.
    #[serde(default)]
    pub stack: Option<Map<String, Value>>,
}

/// A service: tasks that run until they are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The minimum number of tasks.
    #[serde(default = "default_count")]
    pub min: u32,
    /// The maximum number of tasks.
    #[serde(default = "default_count")]
    #[schemars(range(min = 1))]
    pub max: u32,
    /// The target of scaling.
    #[serde(default)]
    pub target: Option<Target>,
    /// The resolution of CPU and memory metrics in seconds: 60, or 20, which costs more and detects a load peak
    /// four times as early.
    #[serde(default)]
    pub resolution: Option<u32>,
    /// How long scaling waits after a scaling activity.
    #[serde(default)]
    pub cooldown: Option<Cooldown>,
    /// Whether tasks are removed when the load decreases.
    #[serde(default = "yes")]
    pub scale_in: bool,
    /// The load balancer between clients and tasks. The default is `application` if requests are counted or the
    /// outermost hop serves plain HTTP, otherwise `network`.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// The share of tasks that run on Fargate Spot; the default is none.
    #[serde(default)]
    pub spot: Option<Spot>,
    /// Whether `aws ecs execute-command` may open a shell in a container.
    #[serde(default)]
    pub exec: bool,
    /// How many tasks run during a deployment.
    #[serde(default)]
    pub deployment: Deployment,
}

/// The target of scaling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Requests per minute and task.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub requests_per_task: Option<u32>,
    /// The average CPU utilization in percent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub cpu: Option<u32>,
    /// The average memory utilization in percent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub memory: Option<u32>,
}

/// A task that starts when an object is created in a bucket, and ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnDemand {
    /// The bucket; its new objects start a task.
    pub bucket: String,
    /// The prefix of keys that start a task.
    #[serde(default)]
    pub prefix: Option<String>,
    /// The suffix of keys that start a task.
    #[serde(default)]
    pub suffix: Option<String>,
    /// The bucket for results.
    #[serde(default)]
    pub output_bucket: Option<String>,
    /// Whether events are queued, so that more can arrive than tasks can start.
    #[serde(default)]
    pub queue: bool,
    /// How often starting a task is retried before the event is sent to the queue `NAME-undelivered`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 185))]
    pub retries: Option<u32>,
    /// What happens with a task that failed.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// The images of components that are in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Images {
    /// The bundle's image, if the task has two or more of its members: they are pulled at once and share memory.
    #[default]
    Bundle,
    /// The image of each component.
    Single,
}

/// The task size; the default is the smallest that fits.
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
    /// The CPU architecture.
    #[serde(default)]
    pub architecture: Architecture,
    /// The minimum and the weight of single containers, in place of those of the component.
    #[serde(default)]
    pub containers: BTreeMap<String, ContainerSize>,
}

/// A container's part of the task size.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerSize {
    /// The CPU units it needs.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub cpu: Option<u32>,
    /// The MiB of memory it needs.
    #[serde(default)]
    #[schemars(range(min = 6))]
    pub memory: Option<u32>,
    /// Its weight when the rest of a larger task size is distributed.
    #[serde(default)]
    pub weight: Option<u32>,
}

/// The CPU architecture.
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
    /// Returns the name that ECS uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "X86_64",
            Self::Arm => "ARM64",
        }
    }
}

fn default_count() -> u32 {
    1
}

fn yes() -> bool {
    true
}
