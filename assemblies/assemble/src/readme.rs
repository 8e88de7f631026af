//! The README names every verb and every flag that the command line has.

use clap::{Command, CommandFactory};

use crate::cli::Cli;

const README: &str = include_str!("../README.md");

#[test]
fn the_readme_names_every_verb_and_every_flag() {
    let mut command = Cli::command();
    command.build();
    let mut missing = Vec::new();

    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
    {
        look_for(verb, &mut missing);
    }

    assert!(
        missing.is_empty(),
        "write about these in README.md: {missing:?}"
    );
}

fn look_for(verb: &Command, missing: &mut Vec<String>) {
    let name = verb.get_name();
    let rows = README.lines().filter(|line| line.starts_with("| "));
    let told = rows.filter_map(|row| row.split(" | ").next());
    if !told
        .into_iter()
        .any(|cell| words(cell).any(|word| word == name))
    {
        missing.push(name.to_owned());
    }

    for argument in verb.get_arguments() {
        let aliases = argument.get_visible_aliases().unwrap_or_default();
        for flag in argument.get_long().into_iter().chain(aliases) {
            if !words(README).any(|word| word == format!("--{flag}")) {
                missing.push(format!("{name} --{flag}"));
            }
        }
    }

    for inner in verb
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
    {
        look_for(inner, missing);
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
}
