//! `assemble on-demand`: what a new object would start, and doing it here.
//!
//! | file | does |
//! |---|---|
//! | `test` | says whether the rule matches, and what the task would be told |
//! | `watch` | runs the task for every new file of a folder |

use assembly::Plan;
use clap::{Args, Subcommand};

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

mod test;
#[cfg(feature = "up")]
mod watch;

/// What is wanted.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Says whether the rule matches a new object, and what the task would be told. Nothing is run.
    Test(test::Arguments),
    /// Runs the task here for every new file of a folder, as the rule would for every new object.
    #[cfg(feature = "up")]
    Watch(watch::Arguments),
}

/// Does it.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    match &arguments.verb {
        Verb::Test(arguments) => test::run(arguments, project, talk),
        #[cfg(feature = "up")]
        Verb::Watch(arguments) => watch::run(arguments, project, talk),
    }
}

/// The plan of the assembly that is named, or of the only one that starts for events; and what it is called.
fn plan(
    name: Option<&String>,
    values: &ValueArguments,
    otherwise: &str,
    project: &Project,
) -> Result<(Plan, String), Failure> {
    if let Some(name) = name {
        let plan = project.plan(name, values, otherwise)?;
        if plan.on_demand().is_none() {
            return Err(Failure::Usage(format!(
                "`{name}` has no `on_demand`: nothing starts it; choose one of: {}",
                listed(&on_demand(values, otherwise, project)?)
            )));
        }
        return Ok((plan, name.clone()));
    }

    let mut all = on_demand(values, otherwise, project)?;
    match all.pop() {
        Some(one) if all.is_empty() => Ok(one),
        Some(one) => {
            all.push(one);
            let names = listed(&all);
            Err(Failure::Usage(format!(
                "several assemblies start for new objects; name one of: {names}"
            )))
        }
        None => Err(Failure::Usage(
            "no assembly here has `on_demand`; write `on_demand: { bucket: … }` into one"
                .to_owned(),
        )),
    }
}

/// Assemblies that cannot be planned are for `check` to tell of.
fn on_demand(
    values: &ValueArguments,
    otherwise: &str,
    project: &Project,
) -> Result<Vec<(Plan, String)>, Failure> {
    let names = project.assemblies()?.into_iter();
    let plans = names.filter_map(|name| Some((project.plan(&name, values, otherwise).ok()?, name)));
    Ok(plans
        .filter(|(plan, _)| plan.on_demand().is_some())
        .collect())
}

fn listed(all: &[(Plan, String)]) -> String {
    let names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    names.join(", ")
}
