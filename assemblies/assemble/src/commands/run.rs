//! `assemble run`: runs a registered task on Fargate and waits for its end.

use std::time::Duration;

use clap::Args;
use ecs_client::{Finished, Override, PublicAddress, RunRequest, Wait};

use super::remote;
use crate::failure::Failure;
use crate::talk::Talk;

/// What to run, and where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The family (its latest revision), `family:revision`, or an ARN.
    task_definition: String,
    /// The cluster's name or ARN.
    #[arg(long, default_value = "default")]
    cluster: String,
    /// A subnet in which the task may be placed; at least one.
    #[arg(long = "subnet", value_name = "ID", required = true)]
    subnets: Vec<String>,
    /// A security group; without any, the default one of the network.
    #[arg(long = "security-group", value_name = "ID")]
    security_groups: Vec<String>,
    /// Gives the task an address of the internet, which a subnet without NAT needs to pull images.
    #[arg(long)]
    public_address: bool,
    /// A variable of one container, this time.
    #[arg(long = "env", value_name = "CONTAINER:NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String, String)>,
    /// How many seconds to wait for the end.
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    timeout: u64,
}

/// Runs it; answers with the exit code that speaks for the task.
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> Result<u8, Failure> {
    let request = request(arguments);
    let finished = remote::with_client(async |client| {
        let started = ecs_client::start(&client, &request).await?;
        talk.say(&format!("started {}", started.task));
        let seen = |status: &str| talk.say(&format!("  {status}"));
        ecs_client::wait(&client, &request.cluster, &started, request.wait, seen).await
    })?;

    talk.data(&summary(&finished));
    match finished.exit_code {
        Some(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        None => Err(Failure::Refused(format!(
            "no essential container ever ran: {}",
            finished
                .stopped_reason
                .as_deref()
                .unwrap_or("no reason was given")
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
            limit: Duration::from_secs(arguments.timeout),
            ..Wait::default()
        },
    }
}

/// One override per container, whatever the order in which its variables were given.
fn add_variable(
    mut overrides: Vec<Override>,
    (container, name, value): &(String, String, String),
) -> Vec<Override> {
    if !overrides.iter().any(|one| one.container == *container) {
        overrides.push(Override {
            container: container.clone(),
            ..Override::default()
        });
    }

    for one in overrides
        .iter_mut()
        .filter(|one| one.container == *container)
    {
        one.environment.insert(name.clone(), value.clone());
    }

    overrides
}

fn variable(text: &str) -> Result<(String, String, String), String> {
    let parts = text.split_once(':').and_then(|(container, pair)| {
        let (name, value) = pair.split_once('=')?;
        Some((container.to_owned(), name.to_owned(), value.to_owned()))
    });
    parts.ok_or_else(|| "is not of the form CONTAINER:NAME=VALUE".to_owned())
}

fn summary(finished: &Finished) -> String {
    let ends = finished.containers.iter().map(|end| {
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
        .unwrap_or("no reason was given");

    ends.collect::<String>() + &format!("{code}: {reason}\n")
}
