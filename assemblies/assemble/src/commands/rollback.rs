//! `assemble rollback`: goes back to a revision that was deployed before.

use clap::Args;
use ecs_client::{Answer, Plan, ServiceName, answer, rollback_target};

use super::deploy::{self, WaitArguments, Waiting};
use super::remote::{self, AwsArguments, DryRun};
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Service to roll back: its cluster and name, or its ARN.
    #[arg(long, value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: ServiceName,
    /// Revision to go back to, by number [default: the last one that was deployed completely].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
    #[command(flatten)]
    waiting: WaitArguments,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Answers a hook that waits, or deploys the revision.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let service = &arguments.service;
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        remote::compare_account(connection, &remote::account_of(service)).await?;

        // A deployment that waits for an answer goes back by itself, with its traffic.
        if arguments.to.is_none()
            && let Some((deployment, pauses)) =
                answer(connection, service, Answer::RollBack).await?
            && !pauses.is_empty()
        {
            ui.message(&format!(
                "{deployment} goes back; to look: assemble status {service}"
            ));
            return Ok(0);
        }

        let change = rollback_target(connection, service, arguments.to).await?;
        let waiting = Waiting::new(&arguments.waiting)?;
        let plan = Plan::new(connection, service, change);
        let plan = match waiting.interruptible(plan, ui).await? {
            Ok(plan) => plan,
            Err(code) => return Ok(code),
        };
        deploy::changes::print_plan(&plan, ui);
        // The tool that made the service has another revision in its files.
        ui.message("the service is updated; what made it (Terraform, CDK, CloudFormation) still has the other revision");
        deploy::apply(plan, connection, service, waiting, ui).await
    })
}
