//! Parsing of the command line: a verb and its arguments.

use std::fmt::Write as _;

use crate::{Component, admin::ProbeKind};

/// The command a command line selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Serve,
    Probe(ProbeKind),
    Describe,
    Check,
    Custom {
        verb: &'static str,
        arguments: Vec<String>,
    },
    Help,
    Version,
}

/// Parses the arguments after the program's name; the error is a message for the user.
pub(crate) fn parse<C: Component>(arguments: &[String]) -> Result<Command, String> {
    let default = [C::default_verb().to_owned()];
    let arguments = if arguments.is_empty() {
        &default
    } else {
        arguments
    };

    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => Ok(Command::Serve),
        ["probe"] => Ok(Command::Probe(ProbeKind::Live)),
        ["probe", "--ready"] => Ok(Command::Probe(ProbeKind::Ready)),
        ["describe"] => Ok(Command::Describe),
        ["check"] => Ok(Command::Check),
        ["help" | "--help" | "-h", ..] => Ok(Command::Help),
        ["version" | "--version" | "-V"] => Ok(Command::Version),
        // Unreachable, since the default verb replaces an empty command line; the match must be exhaustive.
        [] => Err("a verb is missing".to_owned()),
        [word, ..] => match C::verbs().iter().find(|verb| verb.name == *word) {
            Some(verb) => Ok(Command::Custom {
                verb: verb.name,
                arguments: arguments[1..].to_vec(),
            }),
            // A common verb that got here has arguments that none of the patterns above accepts.
            None if COMMON_VERBS.iter().any(|(name, _)| name == word) => {
                Err(format!("`{word}` does not take `{}`", words[1..].join(" ")))
            }
            None => Err(format!("`{word}` is not a verb of {}", C::NAME)),
        },
    }
}

/// Formats the help text; `program` is how the user called the component.
pub(crate) fn format_help<C: Component>(program: &str) -> String {
    let additional = C::verbs()
        .iter()
        .map(|verb| (format!("{} {}", verb.name, verb.arguments), verb.summary));
    let common = COMMON_VERBS
        .iter()
        .map(|(name, summary)| ((*name).to_owned(), *summary));
    let mut text = format!(
        "{} {}: {}\n\nUsage: {program} [VERB]\n\n",
        C::NAME,
        C::VERSION,
        C::SUMMARY
    );

    for (usage, summary) in common.chain(additional) {
        let _ = writeln!(text, "  {usage:<24} {summary}");
    }

    let prefix = crate::settings::prefix(C::NAME);
    let _ = write!(
        text,
        "\nSettings are environment variables that begin with {prefix}; `describe` lists them."
    );

    text
}

const COMMON_VERBS: [(&str, &str); 4] = [
    ("serve", "Serve until SIGTERM (usually the default)"),
    (
        "probe",
        "Exit 0 if the component is live; with --ready, if it is ready",
    ),
    ("describe", "Print settings, ports and verbs as JSON"),
    (
        "check",
        "Validate the settings, report every problem, exit 0 or 2",
    ),
];
