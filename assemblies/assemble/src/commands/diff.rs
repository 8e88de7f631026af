//! `assemble diff`: shows what `register` would change.

use clap::Args;
use ecs_client::Comparison;
use serde_json::Value;
use task_definition::Change;

use super::remote::{self, AwsArguments, DryRun, Target};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a file with a task definition.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    dry: DryRun,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Prints the changes. Returns 1 if there are any.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let target = Target::read(&arguments.what, &arguments.values, project)?;
    let definition = &target.definition;
    let comparison =
        remote::with_connection(&arguments.aws, &arguments.dry, ui, async |connection| {
            remote::check_before_read(connection, &target)?;
            let comparison = ecs_client::difference(connection, definition).await?;
            // The response of a dry run says nothing.
            Ok((!connection.is_dry_run()).then_some(comparison))
        })?;
    let Some(comparison) = comparison else {
        return Ok(0);
    };

    match &comparison {
        Comparison::Same => ui.message("no difference"),
        Comparison::New => ui.message(&format!("`{}` was never registered", definition.family)),
        Comparison::Changed(changes) => {
            for change in changes {
                ui.data(&lines(change));
            }
            return Ok(1);
        }
    }

    // A family without a revision differs from it, although there is nothing to print.
    Ok(u8::from(comparison == Comparison::New))
}

/// Formats the pointer, and the value before and after.
fn lines(change: &Change) -> String {
    let line = |sign: char, value: &Option<Value>| {
        value
            .as_ref()
            .map(|value| format!("  {sign} {value}\n"))
            .unwrap_or_default()
    };

    format!(
        "{}\n{}{}",
        change.pointer,
        line('-', &change.before),
        line('+', &change.after)
    )
}
