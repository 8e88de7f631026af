//! `assemble exec`: a command in a container that runs here.

use std::io;

use clap::Args;
use serde_json::Value;

use super::runs::Run;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Where, and what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The container.
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// The command; the program of the image goes by its name in the image.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// The run, or the beginning of its name; the only one that runs when left out.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
}

/// Runs it, and answers with its exit code: 126 when it cannot be run, 127 when there is none.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let run = match &arguments.task {
        Some(name) => Run::named(name, project)?,
        None => Run::alive(project)?,
    };

    let pid = pid(arguments, &run)?;
    match task_runner::enter(pid, &arguments.command) {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(1)),
        Err(failure) => {
            let command = arguments.command.join(" ");
            talk.failure(&Failure::Usage(format!(
                "cannot run `{command}`: {failure}"
            )));
            Ok(if failure.kind() == io::ErrorKind::NotFound {
                NOT_FOUND
            } else {
                NOT_RUN
            })
        }
    }
}

const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

fn pid(arguments: &Arguments, run: &Run) -> Result<u32, Failure> {
    let (name, task) = (&arguments.container, &run.name);
    let containers = run.task["containers"].as_array().into_iter().flatten();
    let containers: Vec<&Value> = containers.collect();
    let Some(one) = containers.iter().find(|one| one["name"] == **name) else {
        let names = containers.iter().filter_map(|one| one["name"].as_str());
        let names: Vec<&str> = names.collect();
        return Err(Failure::Usage(format!(
            "`{task}` has no container `{name}`; choose one of: {}",
            names.join(", ")
        )));
    };

    let status = one["lastStatus"].as_str().unwrap_or_default();
    let pid = one["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    match pid {
        Some(pid) if run.alive && status == "RUNNING" => Ok(pid),
        _ => Err(Failure::Usage(format!(
            "`{name}` of `{task}` does not run: it is {}",
            if run.alive { status } else { run.status() }
        ))),
    }
}
