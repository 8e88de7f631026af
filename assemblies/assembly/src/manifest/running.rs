//! How tasks are run: the smaller words of `service` and `on_demand`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands between the clients and the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadBalancer {
    /// An Application Load Balancer, which reads requests: it ends the clients' TLS with a certificate of
    /// its own, and can count requests.
    Application,
    /// A Network Load Balancer, which hands connections through: TLS ends in the task.
    Network,
    /// None: clients find the tasks by themselves.
    None,
}

/// Which part of the tasks runs on Spot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// The part of the tasks above `base` that runs on Spot.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
    /// Tasks that never run on Spot.
    #[serde(default)]
    pub base: u32,
}

/// How long scaling waits for its last step to show. Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cooldown {
    /// After tasks were added.
    #[serde(default = "minute")]
    pub out: u32,
    /// After tasks were taken away.
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

/// How many tasks run while a new version takes over from the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The fewest, in percent of the wanted number.
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 100))]
    pub min_percent: u32,
    /// The most, in percent of the wanted number.
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

/// What becomes of a task that ended without having done its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The report of its end, with what it was started for, goes into the queue `NAME-failed`.
    #[default]
    Queue,
    /// Nothing.
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
