//! `assemble up`: runs an assembly or any task definition locally, with Fargate's rules.
//!
//! The run itself is the library `local`; here are its arguments and its output.
//!
//! | file | does |
//! |---|---|
//! | `choices` | the values of `--limits` and `--net` |
//! | `target` | reads what to run from a manifest or a task definition |
//! | `credentials` | gets AWS credentials for the containers |
//! | `output` | sends messages and events to the terminal |
//! | `console` | prints events for people, `status` as one line; `json` for programs |
//! | `summary` | prints how each container ended |

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use local::{LocalRun, Role};

use super::dev_token;
use crate::arguments::{ValueArguments, pair, parse_duration};
use crate::documents;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod choices;
mod console;
mod credentials;
mod json;
mod output;
mod status;
mod summary;
mod target;

pub(super) use credentials::parse_choice as parse_credentials;
use output::Output;

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a file with a task definition in any form that `check` reads; `-` is the standard
    /// input.
    #[arg(value_name = "NAME|FILE")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) values: ValueArguments,
    /// Set an environment variable, overriding the definition's; without CONTAINER in all containers.
    #[arg(long, value_name = "[CONTAINER:]NAME=VALUE", value_parser = local::parse_override)]
    pub(crate) env: Vec<local::EnvOverride>,
    /// Program to run for a container with an image that is not a component of the project.
    #[arg(long, visible_alias = "bin", value_name = "CONTAINER=FILE", value_parser = pair)]
    pub(crate) program: Vec<(String, String)>,
    /// Run a container from its image; SOURCE is oci:FOLDER[:NAME], an archive (./FILE) or a reference [default: the
    /// layout in `.assemble/images/`, else the image of the definition].
    #[arg(long, value_name = "CONTAINER[=SOURCE]", value_parser = local::parse_image_choice)]
    pub(crate) image: Vec<local::ImageChoice>,
    /// Run every container from its image, except those with --program, --stub or --skip.
    #[arg(long)]
    pub(crate) images: bool,
    /// File with one `[CONTAINER:]NAME=VALUE` per line; `--env` overrides it.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Do not start a container; treat its dependants as satisfied.
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) skip: Vec<String>,
    /// Replace a container with a stub (sleep, http-200, echo, otlp-sink, blackhole) [default: sleep], on its
    /// `portMappings` or the given ports.
    #[arg(long, value_name = "CONTAINER[=KIND[:PORT,…]]", value_parser = local::parse_stub)]
    pub(crate) stub: Vec<local::Stub>,
    /// Divide the intervals and start periods of health checks by N.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) fast_health: u32,
    /// Print events as JSON, one object per line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Stop once all containers are ready: a smoke test.
    #[arg(long)]
    pub(crate) until_ready: bool,
    /// Stop once all containers are ready and HEALTHY.
    #[arg(long)]
    pub(crate) until_healthy: bool,
    /// Run in the background and print the run's name, for `ps`, `logs` and `stop`.
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Like --detach, but return once the task is RUNNING and HEALTHY.
    #[arg(long, conflicts_with_all = ["until_ready", "until_healthy"])]
    pub(crate) wait: bool,
    /// Run N tasks behind one listener; replace tasks that exit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20),
        conflicts_with = "exit_code_from")]
    pub(crate) count: Option<u8>,
    /// Restart a container when its binary changes.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Name of the run [default: generated].
    #[arg(long, value_name = "NAME", value_parser = local::parse_run_name)]
    pub(crate) name: Option<String>,
    /// Exit with this container's exit code, whichever container ended the task.
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) exit_code_from: Option<String>,
    /// Stop after this time with exit code 124; with --until-ready, fail if not ready by then.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Publish ports on 0.0.0.0 instead of 127.0.0.1.
    #[arg(long)]
    pub(crate) bind_all: bool,
    /// Enforce the task's cpu and memory limits.
    #[arg(long, value_enum, default_value_t = choices::Limits::Task)]
    pub(crate) limits: choices::Limits,
    /// Network of the task.
    #[arg(long, value_enum, default_value_t = choices::Net::Task)]
    pub(crate) net: choices::Net,
    /// Publish a port of the task on another host port; 0 chooses a free one [default: the ports of
    /// `portMappings`, unchanged].
    #[arg(long, short = 'p', value_name = "[HOST_PORT:]PORT", value_parser = local::parse_publish)]
    pub(crate) publish: Vec<local::PublishedPort>,
    /// AWS credentials to give to the containers: off, profile, profile:NAME, role or role:ARN.
    #[arg(long, value_name = "SOURCE", default_value = "off", value_parser = credentials::parse_choice)]
    pub(crate) credentials: credentials::CredentialsChoice,
    /// Allow outgoing connections to HOST:PORT. Loopback addresses in the task's variables are allowed without it.
    #[arg(long, value_name = "HOST:PORT", value_parser = local::parse_reach)]
    pub(crate) reach: Vec<local::Reach>,
    /// Run in this process for `--detach`, as the run with this name.
    #[arg(long = Role::BACKGROUND, hide = true, value_name = "NAME", value_parser = local::parse_run_name)]
    background: Option<String>,
    /// Run one task for `--count`.
    #[arg(long = Role::REPLICA, hide = true, value_name = "N")]
    replica: Option<u8>,
    /// Run one task for `emulate`, with this identity.
    #[arg(long = Role::TASK, hide = true, value_name = "IDENTITY")]
    task: Option<local::TaskIdentity>,
}

impl Arguments {
    /// Returns whether the run starts this command again, which then reads the file again.
    fn starts_processes(&self) -> bool {
        self.detach || self.wait || self.count.is_some()
    }

    fn to_options(&self, ui: &Ui) -> local::Options {
        // Without the feature, as without AWS support, the logins are those of docker.
        #[cfg(feature = "lock")]
        let logins = Some(crate::registries::logins(ui));
        #[cfg(not(feature = "lock"))]
        let (logins, _) = (None, ui);

        local::Options {
            role: Role::from_options(self.background.as_deref(), self.replica, self.task.clone()),
            // The name of the run is derived from it.
            what: match self.what.as_str() {
                documents::STDIN => "stdin".to_owned(),
                what => what.to_owned(),
            },
            env: self.env.clone(),
            env_file: self.env_file.clone(),
            program: self.program.clone(),
            image: self.image.clone(),
            all_images: self.images,
            logins,
            skip: self.skip.clone(),
            stub: self.stub.clone(),
            fast_health: self.fast_health,
            json: self.json,
            until_ready: self.until_ready,
            until_healthy: self.until_healthy,
            wait: self.wait,
            count: self.count,
            watch: self.watch,
            name: self.name.clone(),
            exit_code_from: self.exit_code_from.clone(),
            timeout: self.timeout,
            bind_all: self.bind_all,
            limits: self.limits.into(),
            net: self.net.into(),
            publish: self.publish.clone(),
            reach: self.reach.clone(),
        }
    }
}

/// Runs this process as a container's init or as a stub, if that is what it was started for. Called before
/// arguments are parsed.
pub(crate) fn run_if_helper() -> Option<ExitCode> {
    task_runner::init::run_if_init().or_else(task_runner::stub::run_if_stub)
}

/// Runs the task and returns its exit code; 125 if it did not start, 126 if a program cannot be executed, 127
/// if a program is not found.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> u8 {
    match start(arguments, project, ui) {
        Ok(code) => code,
        Err(failure) => {
            ui.error(&failure);
            match failure {
                CliError::Program { code, .. } => code,
                _ => NOT_STARTED,
            }
        }
    }
}

fn start(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let (options, output) = (arguments.to_options(ui), Output::new(ui, arguments.json));
    let directory = local::Project::new(project.root().to_owned(), dev_token::issuer(project));

    if arguments.what == documents::STDIN && arguments.starts_processes() {
        return Err(CliError::Usage(
            "a task from the standard input cannot run with --detach, --wait or --count; write it to a file".to_owned(),
        ));
    }

    // A background process and a replica start no further process of their kind.
    if (arguments.detach || arguments.wait) && !options.role.is_background() {
        return Ok(local::run_detached(&options, &directory, &output)?);
    }

    let target = target::find(arguments, project, &output)?;
    if let Some(count) = arguments.count.filter(|_| !options.role.is_replica()) {
        return Ok(local::run_replicas(
            count, target, &options, &directory, &output,
        )?);
    }

    let role = target.task_role_arn().map(str::to_owned);
    let run = LocalRun::new(target, options, directory, &output)?;
    let report = run.run(
        credentials::source(&arguments.credentials, role, ui),
        &output,
    )?;

    if let Some(task) = report.task.filter(|_| !arguments.json) {
        summary::print(&task, &report.folder, project, ui);
    }
    Ok(report.exit_code)
}

const NOT_STARTED: u8 = 125;
