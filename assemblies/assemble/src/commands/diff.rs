//! `assemble diff`: shows what `register` or, with `--service`, `deploy` would change.
//!
//! | file | does |
//! |---|---|
//! | `service` | compares the service around the task definition |

use clap::{Args, ValueEnum};
use ecs_client::{Change as Deployed, Comparison, Plan, ServiceName, scalable_target};
use serde_json::{Value, json};
use task_definition::Change;

use super::deploy::changes;
use super::remote::{self, AwsArguments, Connection, DryRun, Target};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod service;

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a file with a task definition.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// Compare with what this service runs, instead of the latest revision.
    #[arg(long, value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service, conflicts_with = "dry_run")]
    service: Option<ServiceName>,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    dry: DryRun,
    #[command(flatten)]
    aws: AwsArguments,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: container by container.
    Text,
    /// For programs: a list of changes, each with `place`, `path`, `before` and `after`.
    Json,
}

/// Prints the changes. Returns 1 if there are any.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let target = Target::read(&arguments.what, &arguments.values, project)?;
    let found = remote::with_connection(&arguments.aws, &arguments.dry, ui, async |connection| {
        remote::check_before_read(connection, &target)?;
        if let Some(service) = &arguments.service {
            let changes = with_running(connection, service, &target).await?;
            return Ok(Some(Some(changes)));
        }

        let comparison = ecs_client::difference(connection, &target.definition).await?;
        // The response of a dry run says nothing.
        Ok((!connection.is_dry_run()).then(|| match comparison {
            Comparison::Same => Some(Vec::new()),
            Comparison::Changed(changes) => Some(changes),
            Comparison::New => None,
        }))
    })?;

    let Some(changes) = found else {
        return Ok(0);
    };
    Ok(print(arguments, &target, changes.as_deref(), ui))
}

/// Prints the changes; `None` for a family without a revision, which differs although there is nothing to print.
fn print(arguments: &Arguments, target: &Target, changes: Option<&[Change]>, ui: &Ui) -> u8 {
    if arguments.format == Format::Json {
        let json =
            json!({ "registered": changes.is_some(), "changes": changes.map(changes::to_json) });
        ui.data(&format!("{json:#}\n"));
        return u8::from(changes.is_none_or(|changes| !changes.is_empty()));
    }

    match changes {
        None => ui.message(&format!(
            "`{}` was never registered",
            target.definition.family
        )),
        Some([]) => ui.message("no difference"),
        Some(changes) if arguments.service.is_some() => {
            ui.data(&changes::format(changes, ui.color()));
        }
        Some(changes) => {
            for change in changes {
                ui.data(&lines(change));
            }
        }
    }
    u8::from(changes.is_none_or(|changes| !changes.is_empty()))
}

/// Returns the changes to what a service runs, and to the service.
async fn with_running(
    connection: &Connection,
    name: &ServiceName,
    target: &Target,
) -> Result<Vec<Change>, CliError> {
    remote::compare_account(connection, &remote::account_of(name)).await?;
    let change = Deployed::Definition(Box::new(target.definition.clone()));
    let plan = Plan::new(connection, name, change).await?;
    let mut found = match plan.wanted_revision() {
        Some(wanted) => changes::compare(plan.running(), wanted).ok_or_else(|| {
            CliError::Refused(format!(
                "{} has fields that cannot be compared",
                plan.service().revision()
            ))
        })?,
        None => Vec::new(),
    };

    if !target.service.is_null() {
        let scaling = scalable_target(connection, name).await?;
        found.extend(service::compare(
            plan.service().document(),
            scaling,
            &target.service,
        ));
    }
    Ok(found)
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
