//! `assemble destroy`: deletes the stack of an assembly, and keeps its data.

use clap::Args;
use ecs_client::{StackOutcome, StackState, describe_stack, stack_resources};

use super::deploy::WaitArguments;
use super::remote::{self, AwsArguments, Connection, DryRun, Target};
use super::stack::{StackArguments, StackRun, Stop, failure};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `destroy`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path.
    #[arg(value_name = "NAME")]
    what: String,
    #[command(flatten)]
    waiting: WaitArguments,
    #[command(flatten)]
    stack: StackArguments,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Shows what is deleted and what stays, asks, and deletes.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let target = Target::read(&arguments.what, &arguments.values, project)?;
    let name = &target.stack()?.name;
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        remote::check_before_stack_change(connection, &target, ui).await?;
        let names = (name.as_str(), target.environment.as_str());
        let run = StackRun::new(connection, names, &arguments.waiting, arguments.stack, ui)?;
        Stop::flatten(destroy(&run, connection, &target, arguments, ui).await)
    })
}

async fn destroy(
    run: &StackRun<'_>,
    connection: &Connection,
    target: &Target,
    arguments: &Arguments,
    ui: &Ui,
) -> Result<u8, Stop> {
    let name = &target.stack()?.name;
    let state = describe_stack(connection, name)
        .await
        .map_err(CliError::from)?;
    let Some(state) = state else {
        ui.message(&format!("there is no stack `{name}`; nothing was done"));
        return Ok(0);
    };
    if !state.is_own() {
        return Err(CliError::from(ecs_client::Error::ForeignStack { name: name.clone() }).into());
    }

    run.check_environment(&state)?;
    let kept = print_resources(connection, &state, target, ui).await?;
    if arguments.stack.dry_run {
        ui.message("dry run: nothing was changed");
        return Ok(0);
    }
    run.confirm("delete the stack?").await?;
    match run.delete(&state).await? {
        StackOutcome::Succeeded => {
            let stays = if kept == 0 {
                ""
            } else {
                "; what is listed above stays, and costs what it costs"
            };
            ui.message(&format!("the stack `{name}` was deleted{stays}"));
            Ok(0)
        }
        failed @ StackOutcome::Failed { .. } => Err(failure(name, &failed).into()),
    }
}

/// Prints the resources that are deleted and those that stay; returns the number of the latter.
async fn print_resources(
    connection: &Connection,
    state: &StackState,
    target: &Target,
    ui: &Ui,
) -> Result<usize, Stop> {
    let retained = &target.stack()?.retained;
    let resources = stack_resources(connection, state)
        .await
        .map_err(CliError::from)?;
    let (kept, deleted): (Vec<_>, Vec<_>) = resources
        .into_iter()
        .partition(|resource| retained.contains(&resource.name));

    for (title, resources) in [("will be deleted:", &deleted), ("stay:", &kept)] {
        if !resources.is_empty() {
            ui.message(title);
        }
        for resource in resources {
            ui.message(&format!(
                "  {}  {}  {}",
                resource.name, resource.kind, resource.id
            ));
        }
    }
    Ok(kept.len())
}
