//! `assemble init`: fills in what a project needs to work with something that exists.

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod aws;
mod choice;
mod values_file;

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// What to fill in.
#[derive(Debug, Subcommand)]
enum What {
    /// Write account, cluster, VPC and subnets into the values of an environment.
    Aws(aws::Arguments),
}

/// Fills it in.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    match &arguments.what {
        What::Aws(arguments) => aws::run(arguments, project, ui),
    }
}
