//! How tasks run: the nested fields of `service` and `on_demand`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The load balancer between clients and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadBalancer {
    /// An Application Load Balancer, which handles requests: it terminates TLS with its certificate, and can
    /// count requests.
    Application,
    /// A Network Load Balancer, which forwards connections: TLS is terminated in the task.
    Network,
    /// None: clients discover the tasks themselves.
    None,
}

/// The share of tasks that run on Fargate Spot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// The percentage of the tasks above `base` that run on Spot.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
    /// The number of tasks that never run on Spot.
    #[serde(default)]
    pub base: u32,
}

/// The cooldown after a scaling activity, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cooldown {
    /// After a scale-out.
    #[serde(default = "minute")]
    pub out: u32,
    /// After a scale-in.
    #[serde(default = "five_minutes", rename = "in")]
    pub inward: u32,
}

impl Default for Cooldown {
    fn default() -> Self {
        Self {
            out: minute(),
            inward: five_minutes(),
        }
    }
}

/// How many tasks run during a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The minimum, in percent of the desired count.
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 100))]
    pub min_percent: u32,
    /// The maximum, in percent of the desired count.
    #[serde(default = "two_hundred")]
    #[schemars(range(min = 100, max = 200))]
    pub max_percent: u32,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            min_percent: hundred(),
            max_percent: two_hundred(),
        }
    }
}

/// What happens with a task that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Its stop event, with the object it was started for, is sent to the queue `NAME-failed`.
    #[default]
    Queue,
    /// The failure is ignored.
    Ignore,
}

fn minute() -> u32 {
    60
}

fn five_minutes() -> u32 {
    300
}

fn hundred() -> u32 {
    100
}

fn two_hundred() -> u32 {
    200
}
