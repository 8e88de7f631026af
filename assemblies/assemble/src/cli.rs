//! The command line: the global options and the verbs.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands;

/// Assemble, check, render and run AWS Fargate task definitions.
#[derive(Debug, Parser)]
#[command(name = "assemble", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print only results and errors.
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Project directory [default: nearest parent with `assemblies/`].
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) project: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// The verbs; each has a file in [`commands`].
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Create an assembly or a component from a template.
    New(commands::new::Arguments),
    /// Check manifests and task definitions.
    #[command(alias = "lint", alias = "validate")]
    Check(commands::check::Arguments),
    /// Write an assembly's documents into `assemblies/rendered/`.
    Render(commands::render::Arguments),
    /// Compare an assembly between two environments.
    Compare(commands::compare::Arguments),
    /// Explain a task's size and price.
    Size(commands::size::Arguments),
    /// Draw an assembly or a task definition.
    Graph(commands::graph::Arguments),
    /// Convert a task definition into an assembly.
    Import(commands::import::Arguments),
    /// Add a component to an existing task definition.
    Inject(commands::inject::Arguments),
    /// Explain a rule.
    Explain(commands::explain::Arguments),
    /// List all rules.
    Rules(commands::rules::Arguments),
    /// Test or simulate the S3 trigger.
    OnDemand(commands::on_demand::Arguments),
    /// Print a JSON Schema.
    Schema(commands::schema::Arguments),
    /// Generate shell completions.
    Completions(commands::completions::Arguments),
    /// Print or write the manual pages.
    Man(commands::man::Arguments),
    /// Show what `register` would change.
    #[cfg(feature = "aws")]
    Diff(commands::diff::Arguments),
    /// Fill in the values of an environment from an AWS account.
    #[cfg(feature = "aws")]
    Init(commands::init::Arguments),
    /// Check that the account has what a deployment needs.
    #[cfg(feature = "aws")]
    Verify(commands::verify::Arguments),
    /// Register an assembly's task definition with ECS.
    #[cfg(feature = "aws")]
    Register(commands::register::Arguments),
    /// Run a registered task on Fargate and wait until it stops.
    #[cfg(feature = "aws")]
    Run(commands::run::Arguments),
    /// Deploy the stack of an assembly, or to a service, and wait.
    #[cfg(feature = "aws")]
    Deploy(commands::deploy::Arguments),
    /// Delete the stack of an assembly, and keep its data.
    #[cfg(feature = "aws")]
    Destroy(commands::destroy::Arguments),
    /// Let a deployment that waits for an answer go on.
    #[cfg(feature = "aws")]
    Continue(commands::continue_deployment::Arguments),
    /// Go back to a revision that was deployed before.
    #[cfg(feature = "aws")]
    Rollback(commands::rollback::Arguments),
    /// Show a service on AWS and its deployment.
    #[cfg(feature = "aws")]
    Status(commands::status::Arguments),
    /// Forward a local port to a container on AWS.
    #[cfg(feature = "aws")]
    Forward(commands::forward::Arguments),
    /// Set the number of tasks of a service on AWS.
    #[cfg(feature = "aws")]
    Scale(commands::scale::Arguments),
    /// Build, push and inspect container images, without Docker.
    #[cfg(feature = "lock")]
    Images(commands::images::Arguments),
    /// Explain why a task stopped.
    Why(commands::why::Arguments),
    /// Print the IAM policy that a verb needs.
    #[cfg(feature = "aws")]
    Permissions(commands::permissions::Arguments),
    /// Resolve image tags to digests and update the lock file.
    #[cfg(feature = "lock")]
    Lock(commands::lock::Arguments),
    /// Run an assembly or a task definition locally.
    #[cfg(feature = "up")]
    Up(commands::up::Arguments),
    /// List tasks that run locally.
    #[cfg(feature = "up")]
    Ps(commands::ps::Arguments),
    /// Show the output of containers, locally or on AWS.
    #[cfg(any(feature = "aws", feature = "up"))]
    Logs(commands::logs::Arguments),
    /// Run a command in a running container, locally or on AWS.
    #[cfg(any(feature = "aws", feature = "up"))]
    Exec(commands::exec::Arguments),
    /// Stop a local task.
    #[cfg(feature = "up")]
    Stop(commands::stop::Arguments),
    /// Serve the ECS API on a local port; its tasks run here.
    #[cfg(feature = "up")]
    Emulate(commands::emulate::Arguments),
    /// Print a token for a task that runs under `up`.
    #[cfg(feature = "up")]
    DevToken(commands::dev_token::Arguments),
}
