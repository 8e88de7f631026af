//! `assemble rules`: all rules in one list, those of task definitions and those of manifests.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use task_definition::source::Source;
use task_definition::{Finding, Judgement, Severity};

use super::check;
use crate::failure::Failure;
use crate::talk::Talk;

mod page;

/// Which rules, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only those that are so bad.
    #[arg(long, value_enum)]
    severity: Option<Bad>,
    /// Only those of a letter (`T`), or with this word in their title, explanation or hint.
    #[arg(long, value_name = "LETTER|WORD")]
    about: Option<String>,
    /// How to print them.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How bad a rule's findings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bad {
    /// ECS refuses it, or nothing can be made.
    Error,
    /// It is accepted and will hurt.
    Warning,
}

/// How rules are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line each.
    Text,
    /// Everything about each, for programs.
    Json,
    /// The page `docs/rules.md`.
    Markdown,
}

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

/// Prints them.
#[expect(
    clippy::unnecessary_wraps,
    reason = "every verb has the same signature"
)]
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> Result<u8, Failure> {
    let mut rules = all();
    rules.retain(|rule| arguments.wants(rule));
    talk.data(&match arguments.format {
        Format::Text => rules.iter().map(Row::line).collect(),
        Format::Json => {
            let list: Vec<Value> = rules.iter().map(Row::json).collect();
            format!("{:#}\n", json!(list))
        }
        Format::Markdown => page::write(&rules),
    });

    if rules.is_empty() {
        talk.say("no rule is like that; `assemble rules` lists all");
    }
    Ok(0)
}

impl Arguments {
    fn wants(&self, rule: &Row) -> bool {
        let severity = self.severity.is_none_or(|bad| match bad {
            Bad::Error => rule.severity == Severity::Error,
            Bad::Warning => rule.severity == Severity::Warning,
        });
        severity && self.about.as_deref().is_none_or(|word| rule.is_about(word))
    }
}

impl Row {
    /// Whether a letter is the one of its id, or a word is in what it says.
    fn is_about(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        if word.len() == 1 {
            return self.id.to_lowercase().starts_with(&word);
        }
        [self.title, self.explanation, self.hint]
            .iter()
            .any(|text| text.to_lowercase().contains(&word))
    }

    fn line(&self) -> String {
        let severity = self.severity.word();
        format!("{:<4} {severity:<8} {}\n", self.id, self.title)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "severity": self.severity.word(),
            "title": self.title,
            "explanation": self.explanation,
            "source": self.source,
            "hint": self.hint,
            "passing": self.passing,
            "failing": self.failing,
            "mended": Self::mended(&self.found()),
        })
    }

    /// What `check` finds in the failing example.
    pub(crate) fn found(&self) -> Vec<Finding> {
        if self.id.starts_with('M') {
            return assembly::rules::example::findings(self.failing);
        }
        let name = format!("example.{}", language(self.failing));
        let source = Source::new(name, self.failing.trim_matches('\n'));
        check::definition(&source, &Judgement::default()).findings
    }

    /// What `check --fix` would do about what was found in the failing example.
    pub(crate) fn mended(found: &[Finding]) -> Option<&str> {
        let fix = found.iter().find_map(|finding| finding.fix.as_ref());
        fix.map(|fix| fix.title.as_str())
    }

    /// What the rule says, for a page; with what `check` says about the failing example, if it is given.
    pub(crate) fn markdown(&self, found: &str) -> String {
        let block = |language: &str, text: &str| {
            format!("```{language}\n{}\n```\n", text.trim_matches('\n'))
        };
        let found = if found.is_empty() {
            String::new()
        } else {
            format!("\n`assemble check` says:\n\n{}", block("text", found))
        };

        format!(
            "{}\n\n**What to do:** {}.\n\n**Source:** {}\n\nRefused:\n\n{}{found}\nAccepted:\n\n{}",
            self.explanation,
            self.hint.trim_end_matches('.'),
            self.source,
            block(language(self.failing), self.failing),
            block(language(self.passing), self.passing),
        )
    }
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

fn language(text: &str) -> &'static str {
    if text.trim_start().starts_with(['{', '[']) {
        "json"
    } else {
        "yaml"
    }
}
