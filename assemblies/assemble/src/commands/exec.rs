//! `assemble exec`: runs a command in a running container, of a local run or on AWS.
//!
//! | file | does |
//! |---|---|
//! | `local` | enters the namespaces of the container |
//! | `aws` | ECS Exec |

use clap::Args;

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "up")]
mod local;

/// Arguments of `exec`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Container to run the command in.
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Command to run. The image's own program is found by its path in the image.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Local run, by name or prefix of its name, or a task on AWS, by ARN or as CLUSTER/ID
    /// [default: the only local run].
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Service on AWS, of which one running task is chosen.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "CLUSTER/SERVICE", conflicts_with = "task", value_parser = super::remote::parse_service)]
    service: Option<ecs_client::ServiceName>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: super::remote::AwsArguments,
}

/// Runs the command and returns its exit code; on AWS that of the session.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    #[cfg(feature = "aws")]
    {
        let service = arguments.service.as_ref();
        if let Some(reach) = super::remote::Reach::new(service, arguments.task.as_deref())? {
            return aws::run(arguments, &reach, ui);
        }
    }
    #[cfg(feature = "up")]
    return local::run(arguments, project, ui);
    #[cfg(not(feature = "up"))]
    {
        let _ = (project, ui);
        Err(CliError::Usage(
            "this build has no local runs; pass `--service CLUSTER/SERVICE`, or the ARN of a task with `--task`"
                .to_owned(),
        ))
    }
}
