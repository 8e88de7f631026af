//! `assemble`: checks, renders, draws, runs and registers Fargate tasks described by manifests.
//!
//! Results go to stdout, messages to stderr. Exit codes: 0 success, 1 findings or differences, 2 usage or
//! unreadable input, 3 the remote side refused; `up` and `run` exit with the task's code, and with 125 and above for their
//! own failures. The binary is thin: [`project`] reads files, each verb is a
//! file under [`commands`], and the decisions are made in the libraries.

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod cli;
mod commands;
mod documents;
mod error;
#[cfg(feature = "lock")]
mod images;
mod locks;
mod project;
mod reading;
#[cfg(test)]
mod readme;
#[cfg(feature = "lock")]
mod registries;
mod rule_config;
#[cfg(any(feature = "aws", feature = "lock", feature = "up"))]
mod runtime;
mod udiff;
mod ui;

fn main() -> ExitCode {
    // `up` re-executes this binary as a container's init process, so this runs before arguments are parsed.
    #[cfg(feature = "up")]
    if let Some(code) = commands::up::run_if_helper() {
        return code;
    }

    let cli = cli::Cli::parse();
    let ui = ui::Ui::new(cli.quiet);
    match commands::run(cli, &ui) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            ui.error(&failure);
            ExitCode::from(failure.code())
        }
    }
}
