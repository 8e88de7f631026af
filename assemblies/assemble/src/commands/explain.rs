//! `assemble explain`: what a rule says, why, and an example of each kind.

use clap::Args;

use crate::commands::rules::all;
use crate::failure::Failure;
use crate::talk::Talk;

/// Which rule.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The rule's id: `T06`, `M03`.
    id: String,
}

/// Prints the rule.
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> Result<u8, Failure> {
    let id = arguments.id.to_uppercase();
    let rules = all();
    let Some(rule) = rules.iter().find(|rule| rule.id == id) else {
        return Err(Failure::Usage(format!(
            "there is no rule `{}`; see `assemble rules`",
            arguments.id
        )));
    };
    talk.data(&format!(
        "{} ({}): {}\n\n{}\n\nhint: {}\nsource: {}\n\nrefused:\n{}\n\naccepted:\n{}\n",
        rule.id,
        rule.severity.word(),
        rule.title,
        rule.explanation,
        rule.hint,
        rule.source,
        indented(rule.failing),
        indented(rule.passing),
    ));
    Ok(0)
}

fn indented(text: &str) -> String {
    let lines = text
        .trim_matches('\n')
        .lines()
        .map(|line| format!("    {line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}
