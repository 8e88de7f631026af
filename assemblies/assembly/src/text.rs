//! Small things about words and places.

use task_definition::{Finding, Place, nearest};

/// Findings in the order of their lines, so that they read like the file.
pub(crate) fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| line(&finding.place));
    findings
}

fn line(place: &Place) -> (usize, usize) {
    match place {
        Place::Text { line, column, .. } => (*line, *column),
        Place::Derived { from, .. } => from.as_deref().map_or((0, 0), line),
        Place::Pointer(_) => (0, 0),
    }
}

/// A hint: the probable word, or else the list of the ones there are.
pub(crate) fn meant<'a>(
    misspelt: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(name) = nearest(misspelt, known.clone()) {
        return format!("write `{name}`");
    }

    let list: Vec<&str> = known.into_iter().collect();
    if list.is_empty() {
        "take it away".to_owned()
    } else {
        format!("choose one of: {}", list.join(", "))
    }
}
