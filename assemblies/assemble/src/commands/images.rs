//! `assemble images`: what there is to do with images.

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod inspect;

/// Arguments of `images`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: ImagesCommand,
}

#[derive(Debug, Subcommand)]
enum ImagesCommand {
    /// Show platforms, layers and configuration of an image.
    Inspect(inspect::Arguments),
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    match &arguments.command {
        ImagesCommand::Inspect(arguments) => inspect::run(arguments, project, ui),
    }
}
