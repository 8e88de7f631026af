//! `assemble on-demand`: tests or simulates the S3 trigger.
//!
//! | file | does |
//! |---|---|
//! | `test` | evaluates the rule for one event and prints the overrides |
//! | `watch` | runs the task for every new file in a directory |

use assembly::Plan;
use clap::{Args, Subcommand};

use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod test;
#[cfg(feature = "up")]
mod watch;

/// Arguments of `on-demand`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Test whether an event starts a task, and show its overrides. Nothing is run.
    Test(test::Arguments),
    /// Run the task locally for every new file in a directory.
    #[cfg(feature = "up")]
    Watch(watch::Arguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    match &arguments.verb {
        Verb::Test(arguments) => test::run(arguments, project, ui),
        #[cfg(feature = "up")]
        Verb::Watch(arguments) => watch::run(arguments, project, ui),
    }
}

/// Plans the given assembly, or the only one with `on_demand`. Returns the plan and the assembly's name.
fn plan(
    name: Option<&String>,
    values: &ValueArguments,
    environment: &str,
    project: &Project,
) -> Result<(Plan, String), CliError> {
    if let Some(name) = name {
        let plan = project.plan(name, values, environment)?;
        if plan.on_demand().is_none() {
            return Err(CliError::Usage(format!(
                "`{name}` has no `on_demand`; choose one of: {}",
                join_names(&on_demand(values, environment, project)?)
            )));
        }
        return Ok((plan, name.clone()));
    }

    let mut all = on_demand(values, environment, project)?;
    match all.pop() {
        Some(only) if all.is_empty() => Ok(only),
        Some(last) => {
            all.push(last);
            let names = join_names(&all);
            Err(CliError::Usage(format!(
                "several assemblies have `on_demand`; choose one of: {names}"
            )))
        }
        None => Err(CliError::Usage(
            "no assembly has `on_demand`; add `on_demand: { bucket: … }` to one".to_owned(),
        )),
    }
}

/// Plans all assemblies with `on_demand`. Skips those with errors, which `check` reports.
fn on_demand(
    values: &ValueArguments,
    environment: &str,
    project: &Project,
) -> Result<Vec<(Plan, String)>, CliError> {
    let names = project.assemblies()?.into_iter();
    let plans =
        names.filter_map(|name| Some((project.plan(&name, values, environment).ok()?, name)));
    Ok(plans
        .filter(|(plan, _)| plan.on_demand().is_some())
        .collect())
}

fn join_names(all: &[(Plan, String)]) -> String {
    let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    names.join(", ")
}
