//! `assemble forward`: forwards a local port to a port of a container on AWS.

use clap::Args;
use ecs_client::ServiceName;

use super::remote::{self, AwsArguments, Reach};
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `forward`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Container to forward to.
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Port of the container, or a local port and that of the container.
    #[arg(value_name = "[LOCAL:]PORT", value_parser = parse_ports)]
    ports: (u16, u16),
    /// Task on AWS, by ARN or as CLUSTER/ID.
    #[arg(long, value_name = "TASK", required_unless_present = "service")]
    task: Option<String>,
    /// Service on AWS, of which one running task is chosen.
    #[arg(long, value_name = "CLUSTER/SERVICE", conflicts_with = "task", value_parser = remote::parse_service)]
    service: Option<ServiceName>,
    #[command(flatten)]
    aws: AwsArguments,
}

/// Forwards until Ctrl-C.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let reach = Reach::new(arguments.service.as_ref(), arguments.task.as_deref())?;
    let reach = reach.ok_or_else(|| {
        CliError::Usage(
            "ports of local runs are published by `assemble up`; pass the ARN of a task on AWS, or CLUSTER/ID"
                .to_owned(),
        )
    })?;
    let (local, port) = arguments.ports;
    remote::run_session(
        &reach,
        &arguments.container,
        &arguments.aws,
        ui,
        async |target, connection| {
            ui.message(&format!(
                "127.0.0.1:{local} → {}:{port}",
                arguments.container
            ));
            Ok(target.forward(connection, port, local).await?)
        },
    )
}

/// Parses `PORT` or `LOCAL:PORT`.
fn parse_ports(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| {
        let port = text.parse::<u16>().ok().filter(|port| *port != 0);
        port.ok_or_else(|| format!("`{text}` is not a port; expected a number from 1 to 65535"))
    };
    match text.split_once(':') {
        Some((local, remote)) => Ok((port(local)?, port(remote)?)),
        None => port(text).map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_ports;

    #[test]
    fn ports_are_one_number_or_two() {
        assert_eq!(parse_ports("8080"), Ok((8080, 8080)));
        assert_eq!(parse_ports("9000:80"), Ok((9000, 80)));
        for text in ["", "0", "a:80", "80:", "70000"] {
            assert!(parse_ports(text).is_err(), "{text}");
        }
    }
}
