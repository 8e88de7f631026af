//! Builds the task definition of a wiring; every field has the location or derivation it comes from.

use diagnostics::{Finding, LocationMap};
use task_definition::{LocatedDefinition, read_value};

use super::iam::Statement;
use super::share::allocate;
use crate::wire::Wiring;

mod container;
mod environment;
mod overlay;
mod task;

pub(crate) use environment::FLUSH_SECONDS;
use overlay::merge_overrides;
use task::task;

/// Builds the task definition and merges the component's and the user's overrides into it.
///
/// The merged value is parsed like any task definition, so a misspelt field in an override is reported
/// like one in a file.
pub(super) fn definition(
    wiring: &Wiring,
    task_role: &[Statement],
) -> Result<LocatedDefinition, Vec<Finding>> {
    let mut locations = LocationMap::new();
    let allocation = allocate(&wiring.assembly)?;
    let derived = task(wiring, &allocation, task_role, &mut locations);
    // Merged as JSON: overrides can set any field of ECS, also those without a field in our types.
    let mut value = serde_json::to_value(&derived).unwrap_or_default();

    merge_overrides(wiring, &mut value, &mut locations);
    let definition = read_value(value, &locations)?;
    Ok(LocatedDefinition {
        definition,
        locations,
    })
}
