//! `assemble run`: runs a registered task on Fargate and waits until it stops.

use std::time::Duration;

use clap::Args;
use ecs_client::{Override, PublicAddress, RunRequest, StoppedTask, Wait};

use super::remote;
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Task definition: a family (its latest revision), `family:revision`, or an ARN.
    task_definition: String,
    /// Cluster, by name or ARN.
    #[arg(long, default_value = "default")]
    cluster: String,
    /// Subnet to place the task in; repeatable.
    #[arg(long = "subnet", value_name = "ID", required = true)]
    subnets: Vec<String>,
    /// Security group; repeatable [default: the VPC's default security group].
    #[arg(long = "security-group", value_name = "ID")]
    security_groups: Vec<String>,
    /// Assign a public IP address, which a subnet without NAT needs to pull images.
    #[arg(long)]
    public_address: bool,
    /// Set an environment variable of a container.
    #[arg(long = "env", value_name = "CONTAINER:NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String, String)>,
    /// Seconds to wait for the task to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    timeout: u64,
}

/// Runs the task and returns the exit code of its essential container.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let request = request(arguments);
    let finished = remote::with_client(async |client| {
        let started = ecs_client::start(&client, &request).await?;
        ui.message(&format!("started {}", started.task));
        let on_status = |status: &str| ui.message(&format!("  {status}"));
        ecs_client::wait(&client, &request.cluster, &started, request.wait, on_status).await
    })?;

    ui.data(&summary(&finished));
    match finished.exit_code {
        // ECS reports codes from 0 to 255; anything else counts as failure.
        Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Err(CliError::Refused(format!(
            "no essential container ran: {}",
            finished
                .stopped_reason
                .as_deref()
                .unwrap_or("no reason given")
        ))),
    }
}

fn request(arguments: &Arguments) -> RunRequest {
    let overrides = arguments.environment.iter().fold(Vec::new(), add_variable);
    let public_address = if arguments.public_address {
        PublicAddress::Yes
    } else {
        PublicAddress::No
    };

    RunRequest {
        cluster: arguments.cluster.clone(),
        task_definition: arguments.task_definition.clone(),
        subnets: arguments.subnets.clone(),
        security_groups: arguments.security_groups.clone(),
        public_address,
        overrides,
        started_by: Some("assemble".to_owned()),
        wait: Wait {
            timeout: Duration::from_secs(arguments.timeout),
            ..Wait::default()
        },
    }
}

/// Adds a variable. RunTask takes one override per container, so variables are grouped.
fn add_variable(
    mut overrides: Vec<Override>,
    (container, name, value): &(String, String, String),
) -> Vec<Override> {
    if !overrides.iter().any(|entry| entry.container == *container) {
        overrides.push(Override {
            container: container.clone(),
            ..Override::default()
        });
    }

    for entry in overrides
        .iter_mut()
        .filter(|entry| entry.container == *container)
    {
        entry.environment.insert(name.clone(), value.clone());
    }

    overrides
}

fn variable(text: &str) -> Result<(String, String, String), String> {
    let parts = text.split_once(':').and_then(|(container, pair)| {
        let (name, value) = pair.split_once('=')?;
        Some((container.to_owned(), name.to_owned(), value.to_owned()))
    });
    parts.ok_or_else(|| "expected CONTAINER:NAME=VALUE".to_owned())
}

fn summary(finished: &StoppedTask) -> String {
    let lines = finished.containers.iter().map(|end| {
        let ran = |code: i32| format!("exit {code}");
        let code = end.exit_code.map_or_else(|| "never ran".to_owned(), ran);
        let reason = end.reason.as_deref().unwrap_or_default();
        format!("{}  {code}  {reason}", end.name)
            .trim_end()
            .to_owned()
            + "\n"
    });

    let code = finished.stop_code.as_deref().unwrap_or("STOPPED");
    let reason = finished
        .stopped_reason
        .as_deref()
        .unwrap_or("no reason given");

    lines.collect::<String>() + &format!("{code}: {reason}\n")
}
