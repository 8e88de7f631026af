//! The verbs, a file each. Every one has `Arguments` and a `run` that answers with the exit code.

use crate::cli::{Cli, Verb};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod import;
pub(crate) mod index;
pub(crate) mod inject;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod on_demand;
pub(crate) mod render;
pub(crate) mod rules;
pub(crate) mod schema;
pub(crate) mod size;

#[cfg(feature = "aws")]
pub(crate) mod diff;
#[cfg(feature = "aws")]
pub(crate) mod register;
#[cfg(feature = "aws")]
pub(crate) mod remote;
#[cfg(feature = "aws")]
pub(crate) mod run;

#[cfg(feature = "lock")]
pub(crate) mod lock;

#[cfg(feature = "up")]
pub(crate) mod dev_token;
#[cfg(feature = "up")]
pub(crate) mod exec;
#[cfg(feature = "up")]
pub(crate) mod logs;
#[cfg(feature = "up")]
pub(crate) mod ps;
#[cfg(feature = "up")]
pub(crate) mod runs;
#[cfg(feature = "up")]
pub(crate) mod stop;
#[cfg(feature = "up")]
pub(crate) mod up;

/// Runs the verb.
pub(crate) fn run(cli: Cli, talk: &Talk) -> Result<u8, Failure> {
    let project = || Project::find(cli.project.as_deref());
    match cli.verb {
        Verb::New(arguments) => new::run(&arguments, &project()?, talk),
        Verb::Check(arguments) => check::run(&arguments, &project()?, talk),
        Verb::Render(arguments) => render::run(&arguments, &project()?, talk),
        Verb::Compare(arguments) => compare::run(&arguments, &project()?, talk),
        Verb::Size(arguments) => size::run(&arguments, &project()?, talk),
        Verb::Graph(arguments) => graph::run(&arguments, &project()?, talk),
        Verb::Import(arguments) => import::run(&arguments, &project()?, talk),
        Verb::Inject(arguments) => inject::run(&arguments, &project()?, talk),
        Verb::Explain(arguments) => explain::run(&arguments, talk),
        Verb::Rules(arguments) => rules::run(&arguments, talk),
        Verb::OnDemand(arguments) => on_demand::run(&arguments, &project()?, talk),
        Verb::Schema(arguments) => Ok(schema::run(&arguments, talk)),
        Verb::Completions(arguments) => Ok(completions::run(&arguments, talk)),
        Verb::Man(arguments) => man::run(&arguments, talk),
        #[cfg(feature = "aws")]
        Verb::Diff(arguments) => diff::run(&arguments, &project()?, talk),
        #[cfg(feature = "aws")]
        Verb::Register(arguments) => register::run(&arguments, &project()?, talk),
        #[cfg(feature = "aws")]
        Verb::Run(arguments) => run::run(&arguments, talk),
        #[cfg(feature = "lock")]
        Verb::Lock(arguments) => lock::run(&arguments, &project()?, talk),
        #[cfg(feature = "up")]
        Verb::Up(arguments) => Ok(up::run(&arguments, &project()?, talk)),
        #[cfg(feature = "up")]
        Verb::Ps(arguments) => Ok(ps::run(&arguments, &project()?, talk)),
        #[cfg(feature = "up")]
        Verb::Logs(arguments) => logs::run(&arguments, &project()?, talk),
        #[cfg(feature = "up")]
        Verb::Exec(arguments) => exec::run(&arguments, &project()?, talk),
        #[cfg(feature = "up")]
        Verb::Stop(arguments) => stop::run(&arguments, &project()?, talk),
        #[cfg(feature = "up")]
        Verb::DevToken(arguments) => dev_token::run(&arguments, &project()?, talk),
    }
}
