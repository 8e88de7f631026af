//! Builds the task definition of a wiring; every field has the location or derivation it comes from.

use diagnostics::{Edit, Finding, Location, LocationMap};
use serde_json::Value;
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
    let definition = read_value(&value, &locations).or_else(|findings| {
        if convert_references(&mut value, &findings) {
            read_value(&value, &locations)
        } else {
            Err(findings)
        }
    })?;

    Ok(LocatedDefinition {
        definition,
        locations,
    })
}

/// Converts interpolated text to the type of its field; returns whether any value changed.
///
/// `${…}` always yields text. Where the field is a number or a Boolean, the parser's fix has the typed value.
fn convert_references(value: &mut Value, findings: &[Finding]) -> bool {
    // Only fixes of findings about `${…}` values are applied; other type errors stay errors.
    let mut changed = false;
    for finding in findings
        .iter()
        .filter(|finding| is_reference(&finding.location))
    {
        for edit in finding.fix.iter().flat_map(|fix| &fix.edits) {
            if let Edit::Set(pointer, typed) = edit
                && let Some(text) = value.pointer_mut(pointer)
            {
                *text = typed.clone();
                changed = true;
            }
        }
    }

    changed
}

/// Returns whether a value was written as `${…}` alone.
fn is_reference(location: &Location) -> bool {
    let Location::Text {
        column,
        end_column,
        excerpt_line,
        excerpt_column,
        ..
    } = location
    else {
        return false;
    };

    // The location has no value, so the written text is cut out of the excerpt line.
    let excerpt = excerpt_line
        .chars()
        .skip(column.saturating_sub(*excerpt_column));
    let written: String = excerpt.take(end_column.saturating_sub(*column)).collect();
    let written = written.trim_matches(['"', '\'']);
    let inside = written
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));

    inside.is_some_and(|name| !name.contains('}'))
}
