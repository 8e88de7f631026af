//! JSON Schemas of the files that users write, for completion and checks in editors.

use schemars::JsonSchema;
use serde_json::Value;

use crate::component::{BundleFile, ComponentFile};
use crate::decode::schema_of;
use crate::manifest::ManifestFile;
use crate::prices::PricesFile;
use crate::rule_config::RulesFile;

/// Returns the schema of a manifest.
pub fn assembly() -> String {
    pretty::<ManifestFile>()
}

/// Returns the schema of a `component.yaml`.
pub fn component() -> String {
    pretty::<ComponentFile>()
}

/// Returns the schema of a `bundle.yaml`.
pub fn bundle() -> String {
    pretty::<BundleFile>()
}

/// Returns the schema of a rules file.
pub fn rules() -> String {
    pretty::<RulesFile>()
}

/// Returns the schema of a price table.
pub fn prices() -> String {
    pretty::<PricesFile>()
}

fn pretty<T: JsonSchema>() -> String {
    let schema: Value = schema_of::<T>();
    format!("{schema:#}\n")
}
