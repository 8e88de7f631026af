//! `assemble scale`: sets the number of tasks of a service on AWS, or the limits of its auto scaling.

use clap::Args;
use ecs_client::{ScalableTarget, Scaling, ServiceName, scalable_target, set_limits};

use super::remote::{self, AwsArguments, Connection, DryRun};
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `scale`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Service: its cluster and name, or its ARN.
    #[arg(value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: ServiceName,
    /// Number of tasks.
    #[arg(value_name = "COUNT", required_unless_present_any = ["min", "max"])]
    count: Option<u32>,
    /// Smallest number of tasks of the auto scaling.
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// Largest number of tasks of the auto scaling.
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    #[command(flatten)]
    dry: DryRun,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Sets the limits first, so that the number fits them.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    remote::with_connection(&arguments.aws, &arguments.dry, ui, async |connection| {
        let service = &arguments.service;
        remote::compare_account(connection, &remote::account_of(service)).await?;
        let scaling = scalable_target(connection, service).await?;
        let scaling = limits(arguments, scaling, connection, ui).await?;
        if let Some(count) = arguments.count {
            set_count(arguments, u64::from(count), scaling, connection, ui).await?;
        }
        Ok(0)
    })
}

async fn limits(
    arguments: &Arguments,
    scaling: Scaling,
    connection: &Connection,
    ui: &Ui,
) -> Result<Scaling, CliError> {
    if arguments.min.is_none() && arguments.max.is_none() {
        return Ok(scaling);
    }

    let service = &arguments.service;
    let now = match scaling {
        Scaling::Automatic(now) => Some(now),
        Scaling::Fixed => None,
    };
    let limit = |given: Option<u32>, now: Option<u64>| given.map(u64::from).or(now);
    let limits = limit(arguments.min, now.map(|now| now.min))
        .zip(limit(arguments.max, now.map(|now| now.max)));
    let Some((min, max)) = limits else {
        return Err(CliError::Usage(format!(
            "{service} has no auto scaling yet; pass both `--min` and `--max`"
        )));
    };
    if min > max {
        return Err(CliError::Usage(format!(
            "the smallest number of tasks, {min}, is larger than the largest one, {max}"
        )));
    }

    let target = ScalableTarget { min, max };
    set_limits(connection, service, target).await?;
    if !connection.is_dry_run() {
        ui.message(&format!("{service}: {min} to {max} tasks"));
    }
    Ok(Scaling::Automatic(target))
}

async fn set_count(
    arguments: &Arguments,
    count: u64,
    scaling: Scaling,
    connection: &Connection,
    ui: &Ui,
) -> Result<(), CliError> {
    let service = &arguments.service;
    if let Scaling::Automatic(ScalableTarget { min, max }) = scaling {
        // Auto scaling would undo it within minutes.
        if !(min..=max).contains(&count) {
            return Err(CliError::Usage(format!(
                "the auto scaling of {service} keeps {min} to {max} tasks; pass `--min` or `--max` as well"
            )));
        }
        ui.message(&format!(
            "the auto scaling of {service} may change the number of tasks again"
        ));
    }

    let scaled = ecs_client::scale(connection, service, count).await?;
    if !connection.is_dry_run() {
        let running = scaled["runningCount"].as_u64().unwrap_or_default();
        ui.message(&format!(
            "{service}: {running} tasks running, {count} wanted"
        ));
    }
    Ok(())
}
