//! `assemble`: manifests to task definitions, checked, drawn, run and registered.
//!
//! Data goes to stdout, talk to stderr. Exit codes: 0 fine, 1 findings or differences, 2 usage or
//! unreadable input, 3 the remote side refused. The command itself is thin: [`project`] reads files,
//! each verb is a file under [`commands`], and what is decided is decided in the libraries.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod commands;
mod failure;
mod judging;
mod locks;
mod project;
mod reading;
#[cfg(test)]
mod readme;
mod talk;
mod unified;

#[cfg(feature = "up")]
mod dev_keys;

fn main() -> ExitCode {
    // The runner starts this very program again as the parent of a container.
    #[cfg(feature = "up")]
    if let Some(code) = commands::up::intercept() {
        return code;
    }

    let cli = cli::Cli::parse();
    let talk = talk::Talk::new(cli.quiet);
    match commands::run(cli, &talk) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            talk.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}
