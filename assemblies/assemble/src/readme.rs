//! Tests that the reference page names every verb and every flag of the command line.

use clap::{Command, CommandFactory};

use crate::cli::Cli;

const REFERENCE: &str = include_str!("../../../docs/commands.md");

#[test]
fn the_reference_names_every_verb_and_every_flag() {
    let mut command = Cli::command();
    command.build();
    let mut missing = Vec::new();

    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        collect_missing(verb, &mut missing);
    }

    assert!(
        missing.is_empty(),
        "document these in docs/commands.md: {missing:?}"
    );
}

fn collect_missing(verb: &Command, missing: &mut Vec<String>) {
    let name = verb.get_name();
    // A verb has a table row, with its name in the first cell.
    let rows = REFERENCE.lines().filter(|line| line.starts_with("| "));
    let mut cells = rows.filter_map(|row| row.split(" | ").next());
    if !cells.any(|cell| words(cell).any(|word| word == name)) {
        missing.push(name.to_owned());
    }

    for argument in verb.get_arguments() {
        let aliases = argument.get_visible_aliases().unwrap_or_default();
        for flag in argument.get_long().into_iter().chain(aliases) {
            if !words(REFERENCE).any(|word| word == format!("--{flag}")) {
                missing.push(format!("{name} --{flag}"));
            }
        }
    }

    for inner in verb
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
    {
        collect_missing(inner, missing);
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
}
