//! `assemble images`: the images that the documents name.

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod build;
mod inspect;
mod progress;
mod prune;
mod push;
mod sbom;
mod targets;

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
    /// Push built images to the registry that the values name, and lock their digests.
    Push(push::Arguments),
    /// Delete images that no lock file, task definition or service names.
    Prune(prune::Arguments),
    /// Show platforms, layers and configuration of an image.
    Inspect(inspect::Arguments),
    /// Print the SBOM of an image: the packages that are linked into its program.
    Sbom(sbom::Arguments),
}

/// Runs the subcommand.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    match &arguments.command {
        ImagesCommand::Build(arguments) => build::run(arguments, project, ui),
        ImagesCommand::Push(arguments) => push::run(arguments, project, ui),
        ImagesCommand::Prune(arguments) => prune::run(arguments, project, ui),
        ImagesCommand::Inspect(arguments) => inspect::run(arguments, project, ui),
        ImagesCommand::Sbom(arguments) => sbom::run(arguments, project, ui),
    }
}
