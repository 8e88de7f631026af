//! What was found in all files together.

use std::fmt::Write as _;

use task_definition::source::Source;
use task_definition::{Finding, Judged, Severity, Silenced};

use crate::failure::count;

/// What was found, told and silenced; each thing once.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) silenced: Vec<Silenced>,
    /// The task definitions, as they are when what can be mended is mended.
    sources: Vec<Source>,
    /// Whether mending changes a file.
    pub(super) differs: bool,
}

impl Report {
    /// Several assemblies may name the same broken component; it is told once.
    pub(super) fn add(&mut self, judged: Judged) {
        self.add_findings(judged.findings);
        for one in judged.silenced {
            if !self.silenced.contains(&one) {
                self.silenced.push(one);
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

    pub(super) fn add_source(&mut self, source: &Source) {
        self.sources.push(source.clone());
    }

    /// The text of a task definition that was checked.
    pub(super) fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.silenced.is_empty()
    }

    /// How many are so bad.
    pub(super) fn count(&self, severity: Severity) -> usize {
        let as_bad = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(as_bad).count()
    }

    /// Whether the command fails.
    pub(super) fn fails(&self, strict: bool) -> bool {
        self.count(Severity::Error) > 0 || (strict && !self.findings.is_empty())
    }

    /// `3 findings: 2 errors, 1 warning; 1 silenced`.
    pub(super) fn total(&self) -> String {
        let mut total = match self.findings.len() {
            0 => "no findings".to_owned(),
            all => format!(
                "{}: {}",
                count(all),
                [(Severity::Error, "error"), (Severity::Warning, "warning")]
                    .map(|(severity, word)| (self.count(severity), word))
                    .into_iter()
                    .filter(|(many, _)| *many > 0)
                    .map(|(many, word)| format!(
                        "{many} {word}{}",
                        if many == 1 { "" } else { "s" }
                    ))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };

        if !self.silenced.is_empty() {
            let _ = write!(total, "; {} silenced", self.silenced.len());
        }
        total
    }
}
