//! `assemble images`: the images that the documents name.

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod build;

/// Arguments of `images`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: ImagesCommand,
}

/// The subcommands; each has a file in `images/`.
#[derive(Debug, Subcommand)]
enum ImagesCommand {
    /// Build images of components or of any static program, without Docker.
    Build(build::Arguments),
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    match &arguments.command {
        ImagesCommand::Build(arguments) => build::run(arguments, project, ui),
    }
}
