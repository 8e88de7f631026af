//! `assemble rules`: all rules in one list, those of task definitions and those of manifests.

use clap::Args;
use task_definition::Severity;

use crate::failure::Failure;
use crate::talk::Talk;

/// Nothing to choose yet.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

/// What both kinds of rule have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) title: &'static str,
    pub(crate) explanation: &'static str,
    pub(crate) source: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) passing: &'static str,
    pub(crate) failing: &'static str,
}

/// Prints id, severity and title of each.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every verb has the same signature"
)]
pub(crate) fn run(_: &Arguments, talk: &Talk) -> Result<u8, Failure> {
    for rule in all() {
        talk.data(&format!(
            "{:<4} {:<8} {}\n",
            rule.id,
            rule.severity.word(),
            rule.title
        ));
    }
    Ok(0)
}

/// Every rule there is.
pub(crate) fn all() -> Vec<Row> {
    let of_definitions = task_definition::rules().iter().map(|rule| Row {
        id: rule.id,
        severity: rule.severity,
        title: rule.title,
        explanation: rule.explanation,
        source: rule.source,
        hint: rule.hint,
        passing: rule.passing,
        failing: rule.failing,
    });
    let of_manifests = assembly::rules().iter().map(|rule| Row {
        id: rule.id,
        severity: assembly::rules::severity(rule.id),
        title: rule.title,
        explanation: rule.explanation,
        source: rule.source,
        hint: rule.hint,
        passing: rule.passing,
        failing: rule.failing,
    });
    of_manifests.chain(of_definitions).collect()
}

impl Row {
    /// What the rule says, for a page.
    pub(crate) fn markdown(&self) -> String {
        format!(
            "{}\n\n**What to do:** {}.\n\n**Source:** {}\n\nRefused:\n\n```{}\n{}\n```\n\nAccepted:\n\n```{}\n{}\n```\n",
            self.explanation,
            self.hint.trim_end_matches('.'),
            self.source,
            language(self.failing),
            self.failing.trim_matches('\n'),
            language(self.passing),
            self.passing.trim_matches('\n'),
        )
    }
}

fn language(text: &str) -> &'static str {
    if text.trim_start().starts_with('{') {
        "json"
    } else {
        "yaml"
    }
}
