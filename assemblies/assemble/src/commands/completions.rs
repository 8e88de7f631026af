//! `assemble completions`: what a shell has to know to complete verbs and flags.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::talk::Talk;

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Of,
}

/// The shells whose completions are tried by our tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> u8 {
    let shell = match arguments.shell {
        Of::Bash => Shell::Bash,
        Of::Zsh => Shell::Zsh,
        Of::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "assemble", &mut script);
    talk.data(&String::from_utf8_lossy(&script));
    0
}
