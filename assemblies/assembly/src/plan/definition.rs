//! Builds the task definition of a wiring; every field has the location or derivation it comes from.

use diagnostics::{Finding, LocationMap};
use task_definition::{LocatedDefinition, TaskDefinition, read_value};

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

/// A task definition as far as its overrides are valid.
#[derive(Debug)]
pub(super) struct PartialDefinition {
    /// The definition, with minimal values in place of those that could not be read.
    pub(super) located: LocatedDefinition,
    /// The JSON pointers of those values.
    pub(super) unread: Vec<String>,
    /// The findings about them, about fields that ECS does not have, and about the size.
    pub(super) findings: Vec<Finding>,
}

/// Returns the task definition if everything in it is valid.
pub(super) fn valid_definition(
    wiring: &Wiring,
    task_role: &[Statement],
) -> Result<TaskDefinition, Vec<Finding>> {
    let partial = definition(wiring, task_role)?;
    if partial.findings.is_empty() {
        Ok(partial.located.definition)
    } else {
        Err(partial.findings)
    }
}

/// Builds the task definition and merges the component's and the user's overrides into it.
///
/// The merged value is parsed like any task definition, so a misspelt field in an override is reported
/// like one in a file.
pub(super) fn definition(
    wiring: &Wiring,
    task_role: &[Statement],
) -> Result<PartialDefinition, Vec<Finding>> {
    let mut locations = LocationMap::new();
    let (allocation, mut findings) = allocate(&wiring.assembly);
    // A size that Fargate does not offer has its finding.
    let sizes = if findings.is_empty() {
        &[][..]
    } else {
        &["/cpu", "/memory"]
    };
    let derived = task(wiring, &allocation, task_role, &mut locations);
    // Merged as JSON: overrides can set any field of ECS, also those without a field in our types.
    let mut value = serde_json::to_value(&derived).unwrap_or_default();

    merge_overrides(wiring, &mut value, &mut locations);
    let partial = read_value(value, &locations)?;
    let unread = partial.unread.into_iter().map(|unread| unread.pointer);
    findings.extend(partial.findings);

    Ok(PartialDefinition {
        located: LocatedDefinition {
            definition: partial.record,
            locations,
        },
        unread: unread
            .chain(sizes.iter().map(|&pointer| pointer.to_owned()))
            .collect(),
        findings,
    })
}
