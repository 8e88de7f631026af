//! `assemble explain`: prints a rule, its reason, examples, and what `check` reports for the failing one.

use std::fmt::Write as _;

use clap::Args;

use super::rules::{Row, all};
use crate::error::CliError;
use crate::rule_config::check_id;
use crate::ui::Ui;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rule id: `T06`, `M03`.
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Explain all rules.
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

/// Prints the rule.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let mut rules = all();
    if let Some(id) = &arguments.id {
        let id = id.trim().to_uppercase();
        check_id(&id)?;
        rules.retain(|rule| rule.id == id);
    }
    let texts: Vec<String> = rules.iter().map(|rule| format_rule(rule, ui)).collect();
    ui.data(&texts.join("\n\n"));
    Ok(0)
}

fn format_rule(rule: &Row, ui: &Ui) -> String {
    let findings = rule.example_findings();
    let reports = findings
        .iter()
        .map(|finding| finding.render(ui.color()))
        .collect::<Vec<_>>()
        .join("\n");
    let images = match rule.images {
        "" => String::new(),
        images => format!("\nimages of the examples, as read:\n{}\n", indent(images)),
    };
    let mut text = format!(
        "{} {} ({}): {}\n\n{}\n\nhint: {}\nsource: {}\n{}\nfails:\n{}\n",
        rule.id,
        rule.name,
        rule.severity.as_str(),
        rule.title,
        rule.explanation,
        rule.hint,
        rule.source,
        images,
        indent(&rule.failing_document()),
    );

    if !reports.is_empty() {
        let _ = write!(text, "\n`assemble check` reports:\n{}\n", indent(&reports));
    }
    if let Some(title) = Row::fix_title(&findings) {
        let _ = write!(text, "\n`assemble check --fix` applies: {title}\n");
    }

    text + &format!("\npasses:\n{}\n", indent(rule.passing))
}

fn indent(text: &str) -> String {
    let lines = text
        .trim_matches('\n')
        .lines()
        .map(|line| format!("    {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
