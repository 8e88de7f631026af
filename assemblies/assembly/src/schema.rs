//! The JSON Schemas of the files that people write, for editors.

use schemars::JsonSchema;
use serde_json::Value;

use crate::component::ComponentFile;
use crate::decode::schema_of;
use crate::manifest::ManifestFile;
use crate::prices::PricesFile;
use crate::rule_config::RulesFile;

/// The schema of a manifest.
pub fn assembly() -> String {
    pretty::<ManifestFile>()
}

/// The schema of a `component.yaml`.
pub fn component() -> String {
    pretty::<ComponentFile>()
}

/// The schema of a file of rules.
pub fn rules() -> String {
    pretty::<RulesFile>()
}

/// The schema of a table of prices.
pub fn prices() -> String {
    pretty::<PricesFile>()
}

fn pretty<T: JsonSchema>() -> String {
    let schema: Value = schema_of::<T>();
    format!("{schema:#}\n")
}
