//! `assemble explain`: what a rule says, why, an example of each kind, and what `check` says about it.

use std::fmt::Write as _;

use clap::Args;

use super::rules::{Row, all};
use crate::failure::Failure;
use crate::judging::known;
use crate::talk::Talk;

/// Which rule.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The rule's id: `T06`, `M03`.
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Explains all rules, one after the other.
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

/// Prints the rule.
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> Result<u8, Failure> {
    let mut rules = all();
    if let Some(id) = &arguments.id {
        let id = id.trim().to_uppercase();
        known(&id)?;
        rules.retain(|rule| rule.id == id);
    }
    let explained: Vec<String> = rules.iter().map(|rule| explained(rule, talk)).collect();
    talk.data(&explained.join("\n\n"));
    Ok(0)
}

fn explained(rule: &Row, talk: &Talk) -> String {
    let findings = rule.found();
    let found = findings.iter().map(|finding| finding.render(talk.color()));
    let found = found.collect::<Vec<_>>().join("\n");
    let mut text = format!(
        "{} ({}): {}\n\n{}\n\nhint: {}\nsource: {}\n\nrefused:\n{}\n",
        rule.id,
        rule.severity.word(),
        rule.title,
        rule.explanation,
        rule.hint,
        rule.source,
        indented(rule.failing),
    );

    if !found.is_empty() {
        let _ = write!(text, "\n`assemble check` says:\n{}\n", indented(&found));
    }
    if let Some(title) = Row::mended(&findings) {
        let _ = write!(text, "\n`assemble check --fix` mends it: {title}\n");
    }

    text + &format!("\naccepted:\n{}\n", indented(rule.passing))
}

fn indented(text: &str) -> String {
    let lines = text
        .trim_matches('\n')
        .lines()
        .map(|line| format!("    {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
