//! `assemble register`: registers a definition as the next revision of its family.

use clap::Args;
use ecs_client::Comparison;

use super::remote::{self, AwsArguments, DryRun, Target};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `register`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a file with a task definition.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// Register a new revision even if nothing changed.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    dry: DryRun,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Registers the definition and prints the revision's ARN.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let target = Target::read(&arguments.what, &arguments.values, project)?;
    let definition = &target.definition;
    remote::with_connection(&arguments.aws, &arguments.dry, ui, async |connection| {
        remote::check_before_write(connection, &target, ui).await?;

        // An equal revision would only add to the family's history.
        let difference = ecs_client::difference(connection, definition);
        if !arguments.force && difference.await? == Comparison::Same {
            ui.message(&format!(
                "`{}` is already registered unchanged; nothing was done (use `--force` to register it again)",
                definition.family
            ));
            return Ok(());
        }

        let revision = ecs_client::register(connection, definition).await?;
        if !connection.is_dry_run() {
            ui.data(&format!("{}\n", revision.arn));
        }
        Ok(())
    })?;

    Ok(0)
}
