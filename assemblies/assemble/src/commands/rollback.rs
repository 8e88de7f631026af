//! `assemble rollback`: goes back to a revision that was deployed before.

use clap::Args;
use ecs_client::{
    Answer, Change, Plan, ServiceName, StackChange, answer, describe, rollback_target,
};

use super::deploy::{self, WaitArguments, Waiting};
use super::remote::{self, AwsArguments, Connection, DryRun, Target};
use super::stack::{StackArguments, StackRun, Stop};
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly whose stack is rolled back, by name or path.
    #[arg(
        value_name = "NAME",
        required_unless_present = "service",
        conflicts_with = "service"
    )]
    what: Option<String>,
    /// Service to roll back, instead of a stack: its cluster and name, or its ARN.
    #[arg(long, value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: Option<ServiceName>,
    /// Revision to go back to, by number [default: the last one that was deployed completely].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
    #[command(flatten)]
    waiting: WaitArguments,
    #[command(flatten)]
    stack: StackArguments,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Answers a hook that waits, or deploys the revision.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let Some(service) = &arguments.service else {
        return roll_back_stack(arguments, project, ui);
    };
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        remote::compare_account(connection, &remote::account_of(service)).await?;

        // A deployment that waits for an answer goes back by itself, with its traffic.
        if arguments.to.is_none()
            && !arguments.stack.dry_run
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
        if arguments.stack.dry_run {
            ui.message("dry run: nothing was changed");
            return Ok(0);
        }
        // The tool that made the service has another revision in its files.
        ui.message("the service is updated; what made it (Terraform, CDK, CloudFormation) still has the other revision");
        deploy::apply(plan, connection, service, waiting, ui).await
    })
}

/// Rolls back the service of a stack through its template, so that the stack says what runs.
fn roll_back_stack(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let what = arguments.what.as_deref().unwrap_or_default();
    let target = Target::read(what, &arguments.values, project)?;
    let name = &target.stack()?.name;
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        remote::check_before_stack_change(connection, &target, ui).await?;
        let names = (name.as_str(), target.environment.as_str());
        let run = StackRun::new(connection, names, &arguments.waiting, arguments.stack, ui)?;
        Stop::flatten(change_revision(&run, connection, name, arguments.to).await)
    })
}

async fn change_revision(
    run: &StackRun<'_>,
    connection: &Connection,
    name: &str,
    to: Option<u32>,
) -> Result<u8, Stop> {
    let refused = |message: String| Stop::from(CliError::Refused(message));
    let Some(state) = run.ready().await? else {
        return Err(refused(format!("there is no stack `{name}` to roll back")));
    };
    let Some(service) = state.service() else {
        return Err(refused(format!(
            "the stack `{name}` has no service; deploy an earlier version of the assembly instead"
        )));
    };
    if state
        .parameters()
        .all(|parameter| parameter != "TaskRevision")
    {
        return Err(refused(format!(
            "the template of the stack `{name}` has no parameter `TaskRevision`; it was rendered by an earlier version of \
             this program: run `assemble deploy` once"
        )));
    }

    let target = rollback_target(connection, &service, to)
        .await
        .map_err(CliError::from)?;
    let Change::Revision(revision) = target else {
        return Err(refused(format!("{service} has no revision to go back to")));
    };
    let wanted = describe(connection, &revision)
        .await
        .map_err(CliError::from)?;
    let Some(wanted) = wanted else {
        return Err(refused(format!("{revision} does not exist any more")));
    };
    let change = StackChange::Revision(revision);
    Box::pin(run.change(Some(&state), &change, &wanted.definition)).await
}
