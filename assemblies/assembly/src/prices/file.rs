//! The format of the price table.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prices of Fargate, in US dollars per hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Prices")]
pub struct PricesFile {
    /// The date of the prices: `2026-03`. It is shown with every price.
    pub date: String,
    /// The source of the prices.
    #[serde(default)]
    pub source: String,
    /// A note that is shown with the prices.
    #[serde(default)]
    pub note: String,
    /// Prices by region. For other regions the prices of us-east-1 are shown, or else of the first region,
    /// with a note.
    pub regions: BTreeMap<String, RegionPrices>,
}

/// Prices of Fargate in one region.
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
    /// A GB of ephemeral storage above the 20 GB included with every task.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub storage: Option<f64>,
}

/// Prices of one operating system and architecture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// A vCPU.
    #[schemars(range(min = 0))]
    pub vcpu: f64,
    /// A GB of memory; without it, prices are marked as without memory.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub gb: Option<f64>,
    /// The operating system licence of a vCPU.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub licence: Option<f64>,
    /// The Spot price as a fraction of the On-Demand price: 0.3 is 70 % off.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub spot: Option<f64>,
}
