//! `assemble continue`: lets a deployment that waits go on.

use clap::Args;
use ecs_client::{Answer, ServiceName, answer};

use super::remote::{self, AwsArguments, DryRun};
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `continue`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Service whose deployment waits: its cluster and name, or its ARN.
    #[arg(value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: ServiceName,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Answers the hooks that wait.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let service = &arguments.service;
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        remote::compare_account(connection, &remote::account_of(service)).await?;
        match answer(connection, service, Answer::Continue).await? {
            Some((deployment, pauses)) if !pauses.is_empty() => {
                ui.message(&format!(
                    "{deployment} goes on; to look: assemble status {service}"
                ));
                Ok(0)
            }
            Some((deployment, _)) => Err(CliError::Refused(format!(
                "{deployment} does not wait for an answer"
            ))),
            None => Err(CliError::Refused(format!(
                "no deployment to {service} is in progress"
            ))),
        }
    })
}
