//! The command line, verb by verb.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Builds complete Fargate tasks out of small programs.
#[derive(Debug, Parser)]
#[command(name = "assemble", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Says nothing beside the data and the failures.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// The project: a folder that holds `assemblies/`. Looked for upwards when left out.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) project: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Writes a starter of an assembly or a component.
    New(commands::new::Arguments),
    /// Says all that is wrong with manifests and task definitions.
    #[command(alias = "lint", alias = "validate")]
    Check(commands::check::Arguments),
    /// Writes an assembly's documents into `assemblies/rendered/`.
    Render(commands::render::Arguments),
    /// Says what differs between two environments.
    Compare(commands::compare::Arguments),
    /// Says what makes a task as large as it is, what it costs, and what would make it cheaper.
    Size(commands::size::Arguments),
    /// Prints the picture of an assembly.
    Graph(commands::graph::Arguments),
    /// Writes somebody's task definition as an assembly.
    Import(commands::import::Arguments),
    /// Puts a component into somebody's task definition, with all the wiring.
    Inject(commands::inject::Arguments),
    /// Explains a rule.
    Explain(commands::explain::Arguments),
    /// Lists all rules.
    Rules(commands::rules::Arguments),
    /// Says what a new object would start, and does it here.
    OnDemand(commands::on_demand::Arguments),
    /// Prints the JSON Schema of a file, for editors.
    Schema(commands::schema::Arguments),
    /// Prints the script that lets a shell complete verbs and flags.
    Completions(commands::completions::Arguments),
    /// Prints the manual.
    Man(commands::man::Arguments),
    /// Shows what registering would change.
    #[cfg(feature = "aws")]
    Diff(commands::diff::Arguments),
    /// Registers an assembly's task definition with ECS.
    #[cfg(feature = "aws")]
    Register(commands::register::Arguments),
    /// Runs a registered task on Fargate and waits for its end.
    #[cfg(feature = "aws")]
    Run(commands::run::Arguments),
    /// Asks the registries which image each tag is, and writes `assemblies/locks/`.
    #[cfg(feature = "lock")]
    Lock(commands::lock::Arguments),
    /// Runs an assembly or a task definition here, as Fargate would.
    #[cfg(feature = "up")]
    Up(commands::up::Arguments),
    /// Lists the tasks that run here.
    #[cfg(feature = "up")]
    Ps(commands::ps::Arguments),
    /// Prints what the containers of a task have printed.
    #[cfg(feature = "up")]
    Logs(commands::logs::Arguments),
    /// Runs a command in a container that runs here.
    #[cfg(feature = "up")]
    Exec(commands::exec::Arguments),
    /// Stops a task that runs here.
    #[cfg(feature = "up")]
    Stop(commands::stop::Arguments),
    /// Prints a token that auth-filter accepts under `up`.
    #[cfg(feature = "up")]
    DevToken(commands::dev_token::Arguments),
}

/// Which values fill the `${…}` of an assembly.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ValueArguments {
    /// The environment: a name under `assemblies/values/`, or a file. Of several the last one wins.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) values: Vec<String>,
    /// One value, which wins over the file's.
    #[arg(long = "value", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) value: Vec<(String, String)>,
    /// Fails where an image is not in the environment's lock file.
    #[arg(long)]
    pub(crate) locked: bool,
}

impl ValueArguments {
    /// The same with one more environment, which wins over the others.
    pub(crate) fn and(&self, environment: &str) -> Self {
        let mut more = self.clone();
        more.values.push(environment.to_owned());
        more
    }
}

/// Whose prices are shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PriceArguments {
    /// A table of prices; otherwise `assemblies/prices.yaml`, or the table that comes with the command.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
}

/// Splits `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has to be of the form NAME=VALUE".to_owned()),
    }
}
