//! `check --fix`: applies automatic fixes and leaves everything else in the file unchanged.
//!
//! Only task definitions are fixed: findings of a manifest are derived from it, and a template's values may come
//! from elsewhere.

use std::path::Path;

use diagnostics::source::{Source, parse};
use diagnostics::{Finding, Fix, Outcome};
use task_definition::apply_fixes;

use crate::error::CliError;
use crate::udiff::diff;
use crate::ui::Ui;

/// What to do with automatic fixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FixMode {
    /// Ignore them.
    Off,
    /// Apply them in place.
    Write,
    /// Print a diff.
    Show,
}

/// Applies all automatic fixes. A fix may let another rule report something fixable, so the checks are
/// repeated, at most [`MAX_ROUNDS`] times.
pub(super) fn apply_all(
    source: &Source,
    check: impl Fn(&Source) -> Outcome,
) -> (Source, Vec<String>) {
    let mut source = source.clone();
    let mut titles = Vec::new();
    if !is_fixable(&source) {
        return (source, titles);
    }

    for _ in 0..MAX_ROUNDS {
        let found = check(&source).findings;
        let (fixes, text) = apply_compatible(&source, &found);
        if text == source.text {
            break;
        }

        titles.extend(fixes);
        // A new source: it knows where the lines of its text start.
        source = Source::new(source.name, text);
    }

    (source, titles)
}

/// Writes the fixed text or prints a diff. Returns whether there is a difference.
pub(super) fn write_or_show(
    before: &Source,
    after: &Source,
    titles: &[String],
    path: &Path,
    mode: FixMode,
    ui: &Ui,
) -> Result<bool, CliError> {
    if before.text == after.text {
        return Ok(false);
    }
    if mode == FixMode::Show {
        ui.data(&diff(&before.name, &before.text, &after.text));
        return Ok(true);
    }

    std::fs::write(path, &after.text).map_err(|source| CliError::File {
        act: "write",
        path: path.to_owned(),
        source,
    })?;
    for title in titles {
        ui.message(&format!("fixed {}: {title}", before.name));
    }

    Ok(true)
}

/// Returns whether the rules' pointers are pointers into this text: a definition as it is registered, or as
/// `describe-task-definition` returns it.
pub(super) fn is_fixable(source: &Source) -> bool {
    parse(source).is_ok_and(|node| {
        node.get("containerDefinitions").is_some() || node.at("/taskDefinition/family").is_some()
    })
}

/// Applies as many fixes as are compatible; one that conflicts with an earlier one waits for the next round.
fn apply_compatible(source: &Source, findings: &[Finding]) -> (Vec<String>, String) {
    let mut fixes: Vec<Fix> = Vec::new();
    let mut text = source.text.clone();
    // Applied together with all earlier ones, so that the edits refer to the same text.
    for fix in findings.iter().filter_map(|finding| finding.fix.clone()) {
        fixes.push(fix);
        match apply_fixes(source, &fixes) {
            Ok(fixed) => text = fixed,
            Err(_) => drop(fixes.pop()),
        }
    }
    (fixes.into_iter().map(|fix| fix.title).collect(), text)
}

const MAX_ROUNDS: usize = 8;
