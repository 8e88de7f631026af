//! `assemble up`: runs an assembly or any task definition locally, with Fargate's rules.
//!
//! | file | does |
//! |---|---|
//! | `detach` | runs the task in a background process |
//! | `target` | reads what to run from a manifest or a task definition |
//! | `replicas` | runs several tasks behind one listener |
//! | `stub` | removes containers, or replaces them with stubs |
//! | `programs` | finds the program for each image |
//! | `image` | unpacks an image with podman or docker |
//! | `environment` | sets what differs locally: secrets, addresses, `--env` |
//! | `folders` | finds the host directories that variables name, so that containers see them |
//! | `network` | gives the task its own network, with forwarded and published ports |
//! | `credentials` | gets AWS credentials for the containers |
//! | `metadata` | serves the task metadata endpoint |
//! | `session` | runs the task until it ends or is stopped |
//! | `console` | prints events for people, `status` as one line; `json` for programs |
//! | `watch` | restarts a container when its program changes |
//! | `ready` | waits until all containers are ready and prints a sample command |
//! | `run_dir` | records events in the run directory; `control_socket` serves `ps`, `logs`, `stop` |
//! | `summary` | prints how each container ended |

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use task_runner::RunPlan;

use super::dev_token::parse_duration;
use crate::arguments::{ValueArguments, pair};
use crate::dev_keys::private_folder;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod console;
mod control_socket;
mod credentials;
mod detach;
mod environment;
mod folders;
mod image;
mod json;
mod metadata;
mod network;
mod programs;
mod ready;
mod replicas;
mod run_dir;
mod session;
mod status;
mod stub;
mod summary;
mod target;
mod watch;

pub(crate) use control_socket::{ControlCommand, is_alive, send};
pub(crate) use json::started_by;
pub(crate) use replicas::SERVICE;
pub(crate) use run_dir::TASK;

/// Arguments of `up`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a task definition's path (JSON or YAML).
    #[arg(value_name = "NAME|FILE")]
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) values: ValueArguments,
    /// Set an environment variable, overriding the definition's; without CONTAINER in all containers.
    #[arg(long, value_name = "[CONTAINER:]NAME=VALUE", value_parser = environment::parse_override)]
    pub(crate) env: Vec<environment::EnvOverride>,
    /// Program to run for a container with an image that is not a component of the project.
    #[arg(long, visible_alias = "bin", value_name = "CONTAINER=FILE", value_parser = pair)]
    pub(crate) program: Vec<(String, String)>,
    /// Run a container from its image's root file system, unpacked with podman or docker.
    #[arg(long, value_name = "CONTAINER[=ENGINE]", value_parser = image::parse_choice)]
    pub(crate) image: Vec<image::ImageChoice>,
    /// File with one `[CONTAINER:]NAME=VALUE` per line; `--env` overrides it.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Do not start a container; treat its dependants as satisfied.
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) skip: Vec<String>,
    /// Replace a container with a stub (sleep, http-200, echo, otlp-sink, blackhole) [default: sleep], on its
    /// `portMappings` or the given ports.
    #[arg(long, value_name = "CONTAINER[=KIND[:PORT,…]]", value_parser = stub::parse_stub)]
    pub(crate) stub: Vec<stub::Stub>,
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
    #[arg(long, value_name = "NAME", value_parser = parse_run_name)]
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
    #[arg(long, value_enum, default_value_t = environment::Limits::Task)]
    pub(crate) limits: environment::Limits,
    /// Network of the task.
    #[arg(long, value_enum, default_value_t = network::Net::Task)]
    pub(crate) net: network::Net,
    /// Publish a port of the task on another host port; 0 chooses a free one [default: the ports of
    /// `portMappings`, unchanged].
    #[arg(long, short = 'p', value_name = "[HOST_PORT:]PORT", value_parser = network::parse_publish)]
    pub(crate) publish: Vec<network::PublishedPort>,
    /// AWS credentials to give to the containers: off, profile, profile:NAME, role or role:ARN.
    #[arg(long, value_name = "SOURCE", default_value = "off", value_parser = credentials::parse_choice)]
    pub(crate) credentials: credentials::CredentialsChoice,
    /// Allow outgoing connections to HOST:PORT. Loopback addresses in the task's variables are allowed without it.
    #[arg(long, value_name = "HOST:PORT", value_parser = network::parse_reach)]
    pub(crate) reach: Vec<network::Reach>,
}

/// Runs this process as a container's init or as a stub, if that is what it was started for. Called before
/// arguments are parsed.
pub(crate) fn run_if_helper() -> Option<ExitCode> {
    task_runner::init::run_if_init().or_else(task_runner::stub::run_if_stub)
}

/// Runs the task and returns its exit code; 125 if it did not start, 126 if a program cannot be executed, 127
/// if a program is not found.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> u8 {
    // The environment tells a background process its run's name, and a replica its number: neither starts another one.
    let result = if (arguments.detach || arguments.wait) && env::var_os(detach::NAME).is_none() {
        detach::run(arguments, project, ui)
    } else if let Some(count) = arguments.count.filter(|_| replicas::number().is_none()) {
        replicas::run(count, arguments, project, ui)
    } else {
        prepare(arguments, project, ui).and_then(|ready| ready.run(arguments, project, ui))
    };

    match result {
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

/// A task that is ready to run.
struct Prepared {
    target: target::Target,
    plan: RunPlan,
    ports: Vec<(std::net::TcpListener, u16)>,
    reaches: Vec<network::Reach>,
    /// The lock on the run directory, held until this is dropped.
    lock: File,
}

fn prepare(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<Prepared, CliError> {
    let mut target = target::Target::find(arguments, project, ui)?;
    let mut definition = target.definition.clone();
    task_runner::validate_names(&definition).map_err(|why| CliError::Usage(why.to_string()))?;
    stub::check_names(arguments, &definition)?;

    let stubs = stub::apply(&mut definition, &target, arguments, ui)?;
    let init = task_runner::init::own_executable().map_err(|why| {
        CliError::Usage(format!("cannot find the path of this executable: {why}"))
    })?;
    let sandbox = network::sandbox(&definition, arguments, &init, ui);
    let own_network = sandbox
        .as_ref()
        .is_some_and(|sandbox| sandbox.isolation().network);

    // In the host's network a listener on 0.0.0.0 would be reachable from outside.
    if !own_network && !arguments.bind_all {
        environment::keep_to_loopback(&mut definition, ui);
    }

    let mut variables = environment::read_files(&arguments.env_file)?;
    variables.extend_from_slice(&arguments.env);
    let overrides = environment::overrides(&variables, &definition)?;
    let mut programs = programs::find(&definition, &stubs, &target, arguments, project)?;

    programs.extend(image::programs(
        &definition,
        arguments,
        sandbox.is_some(),
        project,
        ui,
    )?);

    let secrets = environment::secrets(&definition, project)?;
    // In its own network the task's ports cannot collide with the host's; only published ones can.
    let ports = if own_network {
        network::ports(&definition, arguments)?
    } else {
        environment::ports_are_free(&definition)?;
        Vec::new()
    };

    let cgroups = environment::cgroups(&definition, arguments);
    environment::warn_about_unenforced(&definition, sandbox.is_some(), cgroups.as_deref(), ui);
    let name = choose_name(arguments, &definition.family);
    let folder = free_folder(&name, project)?;
    let lock = lock(&folder, &name)?;

    remove_old_runs(&folder);
    let volumes = persistent_volumes(&definition, project)?;
    let mut plan = RunPlan {
        definition,
        programs,
        environment: overrides,
        defaults: defaults(&target),
        secrets,
        volumes,
        folder,
        init,
        fast_health: arguments.fast_health,
        sandbox,
        cgroups,
        writable_paths: BTreeMap::new(),
        hosts: None,
    };

    // Both need the finished plan: they look at the variables that containers get.
    plan.writable_paths = folders::find_mentioned(&plan);
    let reaches = network::find_reaches(&plan, &target, arguments);
    plan.hosts = network::hosts(&reaches, &plan.folder)?;
    if let Some(public) = &mut target.public {
        public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
    }

    Ok(Prepared {
        target,
        plan,
        ports,
        reaches,
        lock,
    })
}

impl Prepared {
    fn run(self, arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|failure| CliError::Usage(format!("cannot start: {failure}")))?;
        let lock = self.lock;
        let result = runtime.block_on(async {
            let bindings = network::bindings(&self.ports);
            let forwards = network::open(&self.plan, self.ports, &self.reaches, ui)?;
            let (plan, target) = (self.plan, self.target);
            let session =
                session::run_session(plan, target, (&bindings, forwards), arguments, project, ui);
            // Boxed: the future is large, and this one is on the stack of `block_on`.
            Box::pin(session).await
        });

        // Another run may use the directory from now on.
        drop(lock);
        result
    }
}

/// Returns directories for the volumes that outlive a task on Fargate too: EFS and S3 file systems.
fn persistent_volumes(
    definition: &task_definition::TaskDefinition,
    project: &Project,
) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let persistent = definition.volumes.iter().filter(|volume| {
        volume.efs_volume_configuration.is_some() || volume.s3files_volume_configuration.is_some()
    });
    let folder = |volume: &task_definition::Volume| {
        let folder = private_folder(project.root(), &format!("volumes/{}", volume.name))?;
        Ok((volume.name.clone(), folder))
    };

    persistent.map(folder).collect()
}

/// Returns the variables that ECS sets in every container.
fn defaults(target: &target::Target) -> BTreeMap<String, String> {
    ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .map(|name| (name.to_owned(), target.region.clone()))
        .into()
}

/// Returns the run's name: from the environment of a background process, from `--name`, or a generated one.
fn choose_name(arguments: &Arguments, family: &str) -> String {
    env::var(detach::NAME)
        .ok()
        .filter(|name| parse_run_name(name).is_ok())
        .or_else(|| arguments.name.clone())
        .unwrap_or_else(|| run_name(family))
}

/// Creates the run directory, unless a run with this name is running.
fn free_folder(name: &str, project: &Project) -> Result<PathBuf, CliError> {
    let folder = private_folder(project.root(), &format!("run/{name}"))?;
    if is_alive(&folder) {
        return Err(already_running(name));
    }
    Ok(folder)
}

/// Locks a run directory for this process: of two that start at the same time, one fails.
fn lock(folder: &Path, name: &str) -> Result<File, CliError> {
    let path = folder.join("lock");
    let failure = |source| CliError::File {
        act: "write",
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failure)?;

    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(already_running(name)),
        Err(TryLockError::Error(source)) => Err(failure(source)),
    }
}

fn already_running(name: &str) -> CliError {
    CliError::Usage(format!(
        "`{name}` is already running; stop it with `assemble stop {name}`"
    ))
}

/// Generates a unique name from the family, the time and the process id.
fn run_name(family: &str) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{family}-{:x}-{:x}", now.as_secs(), std::process::id())
}

/// Validates a name: it is one path segment and needs no shell quoting.
fn parse_run_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err("use letters, digits, `-` and `_` only".to_owned())
    }
}

/// Removes all but the newest runs. A directory that cannot be removed is left.
fn remove_old_runs(newest: &Path) {
    let runs = newest.parent().and_then(|folder| fs::read_dir(folder).ok());
    let with_time =
        |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut runs: Vec<_> = runs
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(with_time)
        .collect();

    runs.sort();
    runs.retain(|(_, folder)| !is_alive(folder));
    for (_, old) in runs.iter().rev().skip(MAX_OLD_RUNS) {
        // A killed run could not delete what its containers wrote into their images.
        task_runner::remove_overlays(old);
        let _ = fs::remove_dir_all(old);
    }
}

const MAX_OLD_RUNS: usize = 20;
const NOT_STARTED: u8 = 125;
