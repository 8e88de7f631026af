//! Sorting of findings, and hints for misspelt names.

use diagnostics::{Finding, Location, nearest};

/// Sorts findings by line and column, so that they follow the file.
pub(crate) fn sort_by_location(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| line_and_column(&finding.location));
    findings
}

fn line_and_column(location: &Location) -> (usize, usize) {
    match location {
        Location::Text { line, column, .. } => (*line, *column),
        // A derived field sorts with the manifest line it was derived from.
        Location::Derived { from, .. } => from.as_deref().map_or((0, 0), line_and_column),
        Location::Pointer(_) => (0, 0),
    }
}

/// Returns a hint for an unknown name: the nearest known name, or else the list of all of them.
pub(crate) fn suggest<'a>(
    misspelt: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(name) = nearest(misspelt, known.clone()) {
        return format!("write `{name}`");
    }

    let list: Vec<&str> = known.into_iter().collect();
    if list.is_empty() {
        "remove it".to_owned()
    } else {
        format!("choose one of: {}", list.join(", "))
    }
}
