//! `assemble register`: registers a definition as the next revision of its family.

use clap::Args;
use ecs_client::Comparison;

use super::remote;
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `register`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a task definition's path.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// Register a new revision even if nothing changed.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    values: ValueArguments,
}

/// Registers the definition and prints the revision's ARN.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let definition = remote::definition(&arguments.what, &arguments.values, project)?;
    let revision = remote::with_client(async |client| {
        // An equal revision would only add to the family's history.
        let same = || async { ecs_client::difference(&client, &definition).await };
        if !arguments.force && same().await? == Comparison::Same {
            return Ok(None);
        }
        ecs_client::register(&client, &definition).await.map(Some)
    })?;

    match revision {
        Some(revision) => ui.data(&format!("{}\n", revision.arn)),
        None => ui.message(&format!(
            "`{}` is already registered unchanged; nothing was done (use `--force` to register it again)",
            definition.family
        )),
    }

    Ok(0)
}
