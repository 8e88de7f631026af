//! `assemble rules`: lists all rules, those of task definitions and those of manifests.
//!
//! | file | does |
//! |---|---|
//! | `groups` | assigns each rule to a page |
//! | `pages` | writes the pages of `docs/rules/` |

use std::ops::Deref;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use diagnostics::source::Source;
use diagnostics::{Finding, RuleConfig, Severity};
use ecs_rules::Rule;
use serde_json::{Value, json};

use super::check;
use crate::error::CliError;
use crate::ui::Ui;

mod groups;
mod pages;

/// Arguments of `rules`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only rules of this severity.
    #[arg(long, value_enum)]
    severity: Option<SeverityFilter>,
    /// Filter by group letter (`T`) or by a keyword in title, explanation or hint.
    #[arg(long, value_name = "LETTER|WORD")]
    about: Option<String>,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Directory to write the Markdown pages to.
    #[arg(long, value_name = "DIR", required_if_eq("format", "markdown"))]
    output: Option<PathBuf>,
}

/// A severity to filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SeverityFilter {
    /// ECS rejects it, or nothing can be rendered.
    Error,
    /// It is accepted but causes problems.
    Warning,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line per rule.
    Text,
    /// All fields of each rule, for programs.
    Json,
    /// An index and one page per group, written to `--output`.
    Markdown,
}

/// A rule for manifests or for task definitions, with the texts that commands print about it.
#[derive(Debug, Clone)]
pub(crate) struct Row(&'static Rule);

impl Deref for Row {
    type Target = Rule;

    fn deref(&self) -> &Rule {
        self.0
    }
}

/// Prints the rules, or writes their pages.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let mut rules = all();
    if arguments.format == Format::Markdown {
        return write_pages(arguments, &rules, ui);
    }
    if arguments.output.is_some() {
        return Err(CliError::Usage(
            "`--output` is for `--format markdown`; other formats are printed".to_owned(),
        ));
    }

    rules.retain(|rule| arguments.matches(rule));
    ui.data(&if arguments.format == Format::Json {
        let list: Vec<Value> = rules.iter().map(Row::json).collect();
        format!("{:#}\n", json!(list))
    } else {
        rules.iter().map(Row::line).collect()
    });

    if rules.is_empty() {
        ui.message("no rule matches; `assemble rules` lists all");
    }
    Ok(0)
}

fn write_pages(arguments: &Arguments, rules: &[Row], ui: &Ui) -> Result<u8, CliError> {
    // Pages of a part of the rules would replace those of all.
    if arguments.severity.is_some() || arguments.about.is_some() {
        return Err(CliError::Usage(
            "`--format markdown` writes all rules; omit `--severity` and `--about`".to_owned(),
        ));
    }

    let folder = arguments.output.clone().unwrap_or_default();
    let changed = pages::write(rules, &folder)?;
    let plural = if changed == 1 { "" } else { "s" };
    ui.message(&format!(
        "{changed} file{plural} changed in {}",
        folder.display()
    ));
    Ok(0)
}

impl Arguments {
    fn matches(&self, rule: &Row) -> bool {
        let severity = self.severity.is_none_or(|severity| match severity {
            SeverityFilter::Error => rule.severity == Severity::Error,
            SeverityFilter::Warning => rule.severity == Severity::Warning,
        });
        severity
            && self
                .about
                .as_deref()
                .is_none_or(|word| rule.applies_to(word))
    }
}

impl Row {
    /// Returns whether a letter is the first one of the id, or a word is in one of the texts.
    fn applies_to(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        if word.len() == 1 {
            return self.id.to_lowercase().starts_with(&word);
        }
        [self.title, self.explanation, self.hint]
            .iter()
            .any(|text| text.to_lowercase().contains(&word))
    }

    fn line(&self) -> String {
        let severity = self.severity.as_str();
        format!("{:<4} {severity:<8} {}\n", self.id, self.title)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "severity": self.severity.as_str(),
            "title": self.title,
            "explanation": self.explanation,
            "source": self.source,
            "hint": self.hint,
            "passing": self.passing,
            "failing": self.failing_document(),
            "images": serde_json::from_str::<Value>(self.images).unwrap_or_default(),
            "fix": Self::fix_title(&self.example_findings()),
        })
    }

    /// Returns the findings of the failing example.
    pub(crate) fn example_findings(&self) -> Vec<Finding> {
        let failing = self.failing_document();
        // Examples of manifest rules come with the components they use.
        if self.id.starts_with('M') {
            return assembly::rules::example::findings(&failing);
        }
        let name = format!("example.{}", language(&failing));
        let source = Source::new(name, failing.trim_matches('\n'));
        check::definition(&source, &self.example_images(), &RuleConfig::default()).findings
    }

    /// Returns what `check --fix` would do about the findings.
    pub(crate) fn fix_title(findings: &[Finding]) -> Option<&str> {
        let fix = findings.iter().find_map(|finding| finding.fix.as_ref());
        fix.map(|fix| fix.title.as_str())
    }

    /// Formats the rule as Markdown, with what `check` reports for the failing example unless that is empty.
    pub(crate) fn markdown(&self, report: &str) -> String {
        let block = |language: &str, text: &str| {
            format!("```{language}\n{}\n```\n", text.trim_matches('\n'))
        };
        let failing = self.failing_document();
        let report = if report.is_empty() {
            String::new()
        } else {
            format!("\n`assemble check` reports:\n\n{}", block("text", report))
        };

        let images = if self.images.is_empty() {
            String::new()
        } else {
            format!(
                "\nImages of the examples, as read:\n\n{}",
                block("json", self.images)
            )
        };

        format!(
            "{}\n\n**Hint:** {}.\n\n**Source:** {}\n{images}\nFails:\n\n{}{report}\nPasses:\n\n{}",
            self.explanation,
            self.hint.trim_end_matches('.'),
            self.source,
            block(language(&failing), &failing),
            block(language(self.passing), self.passing),
        )
    }
}

/// Returns all rules, those of manifests first.
pub(crate) fn all() -> Vec<Row> {
    let rules = assembly::rules().iter().chain(ecs_rules::rules());
    rules.map(Row).collect()
}

fn language(text: &str) -> &'static str {
    if text.trim_start().starts_with(['{', '[']) {
        "json"
    } else {
        "yaml"
    }
}
