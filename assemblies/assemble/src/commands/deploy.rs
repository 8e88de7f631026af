//! `assemble deploy`: deploys the stack of an assembly, or a definition or other images to a service that exists.
//!
//! | file | does |
//! |---|---|
//! | `changes` | prints what differs, container by container |
//! | `stack` | the stack of an assembly |
//! | `report` | prints what happens during a deployment, and how it ended |
//! | `wait` | carries out a plan and waits; signals end the wait |

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use ecs_client::{Change, Images, Plan, ServiceName};

use super::remote::{self, AwsArguments, DryRun, Target};
use super::stack::StackArguments;
use crate::arguments::{ValueArguments, pair, parse_duration};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

pub(crate) mod changes;
mod report;
mod stack;
mod wait;

pub(crate) use report::{Reporter, format_duration, pause_line, progress_line};
pub(crate) use wait::{Waiting, apply};

/// Arguments of `deploy`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a file with a task definition.
    #[arg(
        value_name = "NAME|FILE",
        required_unless_present = "images",
        conflicts_with = "images"
    )]
    what: Option<String>,
    /// Service to deploy to: its cluster and name, or its ARN [default: the stack of the assembly].
    #[arg(long, value_name = "CLUSTER/SERVICE", value_parser = remote::parse_service)]
    service: Option<ServiceName>,
    /// Change only the image of this container; repeatable.
    #[arg(long = "image", id = "images", value_name = "CONTAINER=IMAGE", value_parser = pair, requires = "service")]
    images: Vec<(String, String)>,
    #[command(flatten)]
    waiting: WaitArguments,
    #[command(flatten)]
    stack: StackArguments,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    aws: AwsArguments,
}

/// How long to wait for a deployment.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaitArguments {
    /// Return as soon as ECS has begun the deployment.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait for the deployment: `90s`, `30m`, `1h`.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

/// Deploys and waits until the deployment has ended.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let target = match &arguments.what {
        Some(what) => Some(Target::read(what, &arguments.values, project)?),
        None => None,
    };
    let change = match &target {
        Some(target) => Change::Definition(Box::new(target.definition.clone())),
        None => Change::Images(images(&arguments.images)?),
    };

    let Some(service) = &arguments.service else {
        return match target {
            Some(target) => stack::run(&target, arguments, ui),
            None => Err(CliError::Usage(
                "`--image` needs `--service CLUSTER/SERVICE`".to_owned(),
            )),
        };
    };
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        if let Some(target) = &target {
            remote::check_before_write(connection, target, ui).await?;
        }
        remote::compare_account(connection, &remote::account_of(service)).await?;

        let waiting = Waiting::new(&arguments.waiting)?;
        let plan = waiting.interruptible(Plan::new(connection, service, change), ui);
        let plan = match plan.await? {
            Ok(plan) => plan,
            Err(code) => return Ok(code),
        };
        changes::print_plan(&plan, ui);
        if arguments.stack.dry_run {
            ui.message("dry run: nothing was changed");
            return Ok(0);
        }
        apply(plan, connection, service, waiting, ui).await
    })
}

/// Returns the images by container.
fn images(pairs: &[(String, String)]) -> Result<Images, CliError> {
    let mut images = BTreeMap::new();
    for (container, image) in pairs {
        if image.is_empty() || image.contains(char::is_whitespace) {
            return Err(CliError::Usage(format!(
                "`--image {container}={image}` has no image; expected CONTAINER=IMAGE"
            )));
        }
        if images.insert(container.clone(), image.clone()).is_some() {
            return Err(CliError::Usage(format!(
                "`--image` names the container `{container}` twice"
            )));
        }
    }
    Ok(images)
}
