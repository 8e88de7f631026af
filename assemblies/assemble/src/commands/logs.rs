//! `assemble logs`: shows the output of containers, of a local run or on AWS.
//!
//! | file | does |
//! |---|---|
//! | `local` | reads run directories |
//! | `aws` | reads CloudWatch Logs |

use clap::Args;

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "up")]
mod local;

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Container to show the output of [default: all, each line with its container's name].
    #[arg(value_name = "CONTAINER")]
    container: Option<String>,
    /// Local run, by name or prefix of its name, or a task on AWS, by ARN or as CLUSTER/ID
    /// [default: the newest local run].
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Service on AWS: its cluster and name, or its ARN.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "CLUSTER/SERVICE", conflicts_with = "task", value_parser = super::remote::parse_service)]
    service: Option<ecs_client::ServiceName>,
    /// Follow the log output.
    #[arg(long, short)]
    follow: bool,
    /// On AWS: how far to go back, such as `90s`, `30m` or `7d` [default: 10m].
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "TIME", value_parser = crate::arguments::parse_duration)]
    since: Option<std::time::Duration>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: super::remote::AwsArguments,
}

/// Prints the lines.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    #[cfg(feature = "aws")]
    if let Some(source) = aws::source(arguments)? {
        return aws::run(arguments, &source, ui);
    }
    #[cfg(feature = "aws")]
    if arguments.since.is_some() {
        return Err(CliError::Usage(
            "`--since` is for output on AWS; pass `--service CLUSTER/SERVICE` or the ARN of a task with `--task`"
                .to_owned(),
        ));
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
