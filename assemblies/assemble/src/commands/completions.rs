//! `assemble completions`: generates shell completions.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::ui::Ui;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Shell to generate completions for.
    #[arg(value_enum)]
    shell: SupportedShell,
}

/// The shells with tested completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SupportedShell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

/// Prints the completion script.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> u8 {
    let shell = match arguments.shell {
        SupportedShell::Bash => Shell::Bash,
        SupportedShell::Zsh => Shell::Zsh,
        SupportedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "assemble", &mut script);
    ui.data(&String::from_utf8_lossy(&script));
    0
}
