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
    pub(crate) severity: &'static str,
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
            rule.id, rule.severity, rule.title
        ));
    }
    Ok(0)
}

/// Every rule there is.
pub(crate) fn all() -> Vec<Row> {
    let of_definitions = task_definition::rules().iter().map(|rule| Row {
        id: rule.id,
        severity: word(rule.severity),
        title: rule.title,
        explanation: rule.explanation,
        source: rule.source,
        hint: rule.hint,
        passing: rule.passing,
        failing: rule.failing,
    });
    let of_manifests = assembly::rules().iter().map(|rule| Row {
        id: rule.id,
        severity: "error",
        title: rule.title,
        explanation: rule.explanation,
        source: rule.source,
        hint: rule.hint,
        passing: rule.passing,
        failing: rule.failing,
    });
    of_manifests.chain(of_definitions).collect()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
