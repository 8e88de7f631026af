//! `assemble run`: runs a task on Fargate and waits for it.
//!
//! | file | does |
//! |---|---|
//! | `arguments` | the arguments, and the request of them |
//! | `follow` | waits for the tasks; asks at Ctrl-C whether to stop them |
//! | `report` | prints how the tasks ended |

use ecs_client::{Comparison, ExpectedAccount, RunRequest};

use super::remote::{self, Connection, Target};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod arguments;
mod follow;
mod report;

pub(crate) use arguments::Arguments;
pub(crate) use report::{reason_text, summary};

/// Runs the task and returns the exit code of its essential container, or 125 if `run` itself fails.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> u8 {
    start(arguments, project, ui).unwrap_or_else(|failure| {
        ui.error(&failure);
        FAILED
    })
}

fn start(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let mut request = arguments.request();
    let target = if remote::is_assembly(&arguments.what, project) {
        Some(Target::read(&arguments.what, &arguments.values, project)?)
    } else {
        None
    };

    remote::with_connection(&arguments.aws, &arguments.dry, ui, async |connection| {
        match &target {
            Some(target) => {
                remote::check_before_write(connection, target, ui).await?;
                request.task_definition =
                    find_revision(connection, target, &arguments.what).await?;
            }
            None => remote::compare_account(connection, &account_of_arn(&request)).await?,
        }
        follow::run(connection, &request, ui).await
    })
}

/// Returns the revision that is registered for an assembly.
async fn find_revision(
    connection: &Connection,
    target: &Target,
    what: &str,
) -> Result<String, CliError> {
    let family = &target.definition.family;
    let described = ecs_client::describe(connection, family).await?;
    if connection.is_dry_run() {
        return Ok(family.clone());
    }

    let register = format!("run `assemble register {what}` with the same values first");
    let Some(described) = described else {
        return Err(CliError::Usage(format!(
            "`{family}` was never registered; {register}"
        )));
    };

    match ecs_client::compare(&described.definition, &target.definition) {
        Comparison::Same => Ok(described.arn),
        _ => Err(CliError::Usage(format!(
            "`{what}` differs from {}, the latest revision; {register}, or run that one: assemble run {}",
            described.arn, described.arn
        ))),
    }
}

/// Returns the account and region of a revision's ARN.
fn account_of_arn(request: &RunRequest) -> ExpectedAccount {
    let found = ecs_client::parse_arn(&request.task_definition);
    let (account, region) = found.unzip();
    ExpectedAccount {
        account,
        region,
        origin: format!("`{}`", request.task_definition),
        remedy: "pass a revision of that account and region".to_owned(),
    }
}

/// As `docker run`: 125 for failures that are not the container's.
const FAILED: u8 = 125;
