//! The verbs, one file each: `Arguments`, and `run`, which returns the exit code.

use crate::cli::{Cli, Verb};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

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
pub(crate) mod why;

#[cfg(feature = "aws")]
pub(crate) mod continue_deployment;
#[cfg(feature = "aws")]
pub(crate) mod deploy;
#[cfg(feature = "aws")]
pub(crate) mod destroy;
#[cfg(feature = "aws")]
pub(crate) mod diff;
#[cfg(feature = "aws")]
pub(crate) mod forward;
#[cfg(feature = "aws")]
pub(crate) mod init;
#[cfg(feature = "aws")]
pub(crate) mod permissions;
#[cfg(feature = "aws")]
pub(crate) mod register;
#[cfg(feature = "aws")]
pub(crate) mod remote;
#[cfg(feature = "aws")]
pub(crate) mod rollback;
#[cfg(feature = "aws")]
pub(crate) mod run;
#[cfg(feature = "aws")]
pub(crate) mod scale;
#[cfg(feature = "aws")]
pub(crate) mod stack;
#[cfg(feature = "aws")]
pub(crate) mod status;
#[cfg(feature = "aws")]
pub(crate) mod verify;

#[cfg(feature = "lock")]
pub(crate) mod images;
#[cfg(feature = "lock")]
pub(crate) mod lock;

#[cfg(feature = "up")]
pub(crate) mod dev_token;
#[cfg(feature = "up")]
pub(crate) mod emulate;
#[cfg(any(feature = "aws", feature = "up"))]
pub(crate) mod exec;
#[cfg(any(feature = "aws", feature = "up"))]
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
pub(crate) fn run(cli: Cli, ui: &Ui) -> Result<u8, CliError> {
    // `explain`, `rules`, `schema`, `completions` and `man` need no project.
    let project = || Project::find(cli.project.as_deref());
    match cli.verb {
        Verb::New(arguments) => new::run(&arguments, &project()?, ui),
        Verb::Check(arguments) => check::run(&arguments, &project()?, ui),
        Verb::Render(arguments) => render::run(&arguments, &project()?, ui),
        Verb::Compare(arguments) => compare::run(&arguments, &project()?, ui),
        Verb::Size(arguments) => size::run(&arguments, &project()?, ui),
        Verb::Graph(arguments) => graph::run(&arguments, &project()?, ui),
        Verb::Import(arguments) => import::run(&arguments, &project()?, ui),
        Verb::Inject(arguments) => inject::run(&arguments, &project()?, ui),
        Verb::Explain(arguments) => explain::run(&arguments, ui),
        Verb::Rules(arguments) => rules::run(&arguments, ui),
        Verb::OnDemand(arguments) => on_demand::run(&arguments, &project()?, ui),
        Verb::Schema(arguments) => Ok(schema::run(&arguments, ui)),
        Verb::Completions(arguments) => Ok(completions::run(&arguments, ui)),
        Verb::Man(arguments) => man::run(&arguments, ui),
        #[cfg(feature = "aws")]
        Verb::Diff(arguments) => diff::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Register(arguments) => register::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Init(arguments) => init::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Verify(arguments) => verify::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Run(arguments) => Ok(run::run(&arguments, &project()?, ui)),
        #[cfg(feature = "aws")]
        Verb::Deploy(arguments) => deploy::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Destroy(arguments) => destroy::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Continue(arguments) => continue_deployment::run(&arguments, ui),
        #[cfg(feature = "aws")]
        Verb::Rollback(arguments) => rollback::run(&arguments, &project()?, ui),
        #[cfg(feature = "aws")]
        Verb::Status(arguments) => status::run(&arguments, ui),
        #[cfg(feature = "aws")]
        Verb::Scale(arguments) => scale::run(&arguments, ui),
        #[cfg(feature = "aws")]
        Verb::Forward(arguments) => forward::run(&arguments, ui),
        #[cfg(feature = "aws")]
        Verb::Permissions(arguments) => permissions::run(&arguments, &project()?, ui),
        Verb::Why(arguments) => why::run(&arguments, ui),
        #[cfg(feature = "lock")]
        Verb::Images(arguments) => images::run(&arguments, &project()?, ui),
        #[cfg(feature = "lock")]
        Verb::Lock(arguments) => lock::run(&arguments, &project()?, ui),
        #[cfg(feature = "up")]
        Verb::Up(arguments) => Ok(up::run(&arguments, &project()?, ui)),
        #[cfg(feature = "up")]
        Verb::Ps(arguments) => Ok(ps::run(&arguments, &project()?, ui)),
        #[cfg(any(feature = "aws", feature = "up"))]
        Verb::Logs(arguments) => logs::run(&arguments, &project()?, ui),
        #[cfg(any(feature = "aws", feature = "up"))]
        Verb::Exec(arguments) => exec::run(&arguments, &project()?, ui),
        #[cfg(feature = "up")]
        Verb::Stop(arguments) => stop::run(&arguments, &project()?, ui),
        #[cfg(feature = "up")]
        Verb::Emulate(arguments) => emulate::run(&arguments, &project()?, ui),
        #[cfg(feature = "up")]
        Verb::DevToken(arguments) => dev_token::run(&arguments, &project()?, ui),
    }
}
