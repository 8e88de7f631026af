//! The findings of all files.

use std::fmt::Write as _;

use diagnostics::source::Source;
use diagnostics::{Finding, Outcome, Severity, SuppressedFinding};
use ecs_rules::inputs::{NotEvaluated, ParsedInput};

use crate::error::format_findings;
use crate::ui::source_location;

/// Findings and suppressions, without duplicates.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) suppressed: Vec<SuppressedFinding>,
    /// The task definitions, as they are after the fixes.
    sources: Vec<Source>,
    /// What no rule has checked.
    not_evaluated: Vec<NotEvaluated>,
    /// Whether the fixes change a file.
    pub(super) differs: bool,
}

impl Report {
    /// Adds an outcome. Several assemblies may use the same broken component; its findings are reported once.
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.add_findings(outcome.findings);
        for suppressed in outcome.suppressed {
            if !self.suppressed.contains(&suppressed) {
                self.suppressed.push(suppressed);
            }
        }
    }

    pub(super) fn add_findings(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// Adds what no rule has checked in a file.
    pub(super) fn add_not_evaluated(&mut self, input: &ParsedInput) {
        self.not_evaluated
            .extend(input.not_evaluated.iter().cloned());
    }

    /// Returns what no rule has checked.
    pub(super) fn not_evaluated(&self) -> &[NotEvaluated] {
        &self.not_evaluated
    }

    /// Returns a line for each part that no rule has checked: without it, "no findings" would be misleading.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.not_evaluated.iter().map(|part| {
            let location = source_location(&part.location);
            let place = location.map(|(file, line, _)| format!("{file}:{line}: "));
            format!("{}{}", place.unwrap_or_default(), part.message)
        })
    }

    pub(super) fn add_source(&mut self, source: &Source) {
        self.sources.push(source.clone());
    }

    /// Returns the text of a checked task definition.
    pub(super) fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Returns whether there are no findings and no suppressions.
    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.suppressed.is_empty()
    }

    /// Returns the number of findings of a severity.
    pub(super) fn count(&self, severity: Severity) -> usize {
        let matches = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(matches).count()
    }

    /// Returns whether the command fails.
    pub(super) fn fails(&self, strict: bool) -> bool {
        self.count(Severity::Error) > 0 || (strict && !self.findings.is_empty())
    }

    /// Formats the total: `3 findings: 2 errors, 1 warning; 1 suppressed`.
    pub(super) fn total(&self) -> String {
        let mut total = match self.findings.len() {
            0 => "no findings".to_owned(),
            all => format!(
                "{}: {}",
                format_findings(all),
                [(Severity::Error, "error"), (Severity::Warning, "warning")]
                    .map(|(severity, word)| (self.count(severity), word))
                    .into_iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, word)| format!(
                        "{count} {word}{}",
                        if count == 1 { "" } else { "s" }
                    ))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };

        if !self.suppressed.is_empty() {
            let _ = write!(total, "; {} suppressed", self.suppressed.len());
        }
        total
    }
}
