//! `assemble stop`: stops a local task as StopTask would.

use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use local::{ControlCommand, send};

use super::runs::Run;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `stop`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Task or service, by name or prefix of its name [default: the only one that is running].
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Kill immediately.
    #[arg(long)]
    force: bool,
    /// Stop as a Spot interruption does: in order, and kill what is left after two minutes.
    #[arg(long, conflicts_with = "force")]
    spot: bool,
}

/// Sends the command and waits until the run has ended.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let run = Run::to_stop(arguments.task.as_deref(), project)?;
    if !run.alive {
        ui.message(&format!("`{}` has already stopped", run.name));
        return Ok(0);
    }

    if arguments.spot && run.is_service() {
        let message = format!(
            "Spot interrupts single tasks, not services; choose one of `{0}`: `{0}-1`, …",
            run.name
        );
        return Err(CliError::Usage(message));
    }

    let command = match (arguments.force, arguments.spot) {
        (true, _) => ControlCommand::Kill,
        (_, true) => ControlCommand::Spot,
        _ => ControlCommand::Stop,
    };

    let mut sent = send(&run.folder, command);
    // The runner accepts one connection at a time and may be serving another one.
    for _ in 0..TRIES {
        if sent.is_ok() || !run.is_still_running() {
            break;
        }
        sent = send(&run.folder, command);
    }

    while run.is_still_running() {
        sent.as_ref().map_err(|failure| {
            CliError::Usage(format!("`{}` does not respond: {failure}", run.name))
        })?;
        sleep(POLL_INTERVAL);
    }

    ui.message(&format!("stopped `{}`", run.name));
    Ok(0)
}

const TRIES: u8 = 3;
const POLL_INTERVAL: Duration = Duration::from_millis(50);
