//! Runs a command in a running local container.

use std::io;

use serde_json::Value;

use super::Arguments;
use crate::commands::runs::Run;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Runs the command and returns its exit code: 126 if it cannot be executed, 127 if it is not found.
pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let run = match &arguments.task {
        Some(name) => Run::find(name, project)?,
        None => Run::only_running(project)?,
    };

    let pid = pid(arguments, &run)?;
    match task_runner::enter(pid, &arguments.command) {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(1)),
        Err(failure) => {
            let command = arguments.command.join(" ");
            ui.error(&CliError::Usage(format!(
                "cannot run `{command}`: {failure}"
            )));
            // The codes of a POSIX shell for a command it cannot execute or find.
            Ok(if failure.kind() == io::ErrorKind::NotFound {
                COMMAND_NOT_FOUND
            } else {
                CANNOT_EXECUTE
            })
        }
    }
}

const CANNOT_EXECUTE: u8 = 126;
const COMMAND_NOT_FOUND: u8 = 127;

fn pid(arguments: &Arguments, run: &Run) -> Result<u32, CliError> {
    let (name, task) = (&arguments.container, &run.name);
    let containers: Vec<&Value> = run.task["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let Some(container) = containers
        .iter()
        .find(|container| container["name"] == **name)
    else {
        let names: Vec<&str> = containers
            .iter()
            .filter_map(|container| container["name"].as_str())
            .collect();
        return Err(CliError::Usage(format!(
            "`{task}` has no container `{name}`; it has {}",
            names.join(", ")
        )));
    };

    let status = container["lastStatus"].as_str().unwrap_or_default();
    let pid = container["pid"]
        .as_u64()
        .and_then(|pid| u32::try_from(pid).ok());
    // A pid in the record of a run that has ended may belong to another process by now.
    match pid {
        Some(pid) if run.alive && status == "RUNNING" => Ok(pid),
        _ => Err(CliError::Usage(format!(
            "container `{name}` of `{task}` is not running; it is {}",
            if run.alive { status } else { run.status() }
        ))),
    }
}
