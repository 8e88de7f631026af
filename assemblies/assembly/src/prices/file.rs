//! The table of prices, field by field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Fargate costs, in US dollars an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Prices")]
pub struct PricesFile {
    /// When the prices were read: `2026-03`. It is shown wherever a price is.
    pub date: String,
    /// Where they were read.
    #[serde(default)]
    pub source: String,
    /// What is to be said beside them.
    #[serde(default)]
    pub note: String,
    /// By region. A region that is not here is given the price of us-east-1, or else of the first, and
    /// that is said.
    pub regions: BTreeMap<String, RegionPrices>,
}

/// What Fargate costs in one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionPrices {
    /// Linux on Intel and AMD.
    #[serde(rename = "X86_64", default)]
    pub x86: Option<Rate>,
    /// Linux on Graviton.
    #[serde(rename = "ARM64", default)]
    pub arm: Option<Rate>,
    /// Windows.
    #[serde(rename = "WINDOWS", default)]
    pub windows: Option<Rate>,
    /// A GB of ephemeral storage above the 20 that come with every task.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub storage: Option<f64>,
}

/// What one kind of machine costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// A vCPU.
    #[schemars(range(min = 0))]
    pub vcpu: f64,
    /// A GB of memory; without it a price says that memory is not in it.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub gb: Option<f64>,
    /// A vCPU's licence.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub licence: Option<f64>,
    /// The part of the On-Demand price that Spot asks for: 0.3 is 70 % off.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub spot: Option<f64>,
}
