//! `assemble up`: runs an assembly, or anybody's task definition, here with Fargate's rules.
//!
//! | file | does |
//! |---|---|
//! | `detach` | leaves it to a process of its own |
//! | `target` | says what is to be run, from a manifest or a task definition |
//! | `several` | has several of it, behind one listener |
//! | `stand_in` | takes out, or lets something simple stand for, what has no program here |
//! | `programs` | finds the program for each image |
//! | `image` | has podman or docker give out what is in one |
//! | `environment` | fills in what differs here: secrets, addresses, `--env` |
//! | `folders` | finds the folders of this machine that variables name, so that containers see them |
//! | `network` | gives it a network of its own, with the ways in and out, which close in time |
//! | `credentials` | asks AWS for what containers may do there |
//! | `metadata` | lets containers ask what task they are in |
//! | `life` | runs it until it ends or somebody has enough |
//! | `screen` | tells what happens, for people, `status` in one line; `json`, for programs |
//! | `watch` | has a container started again when its program changes |
//! | `ready` | waits until everybody is ready and says what to try |
//! | `keep` | writes what happens into the run's folder; `door` lets others in: `ps`, `logs`, `stop` |
//! | `summary` | says at the end how everybody ended |

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use task_runner::RunPlan;

use super::dev_token::period;
use crate::cli::{ValueArguments, pair};
use crate::dev_keys::private_folder;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

mod credentials;
mod detach;
mod door;
mod environment;
mod folders;
mod image;
mod json;
mod keep;
mod life;
mod metadata;
mod network;
mod programs;
mod ready;
mod screen;
mod several;
mod stand_in;
mod status;
mod summary;
mod target;
mod watch;

pub(crate) use door::{Word, is_alive, say};
pub(crate) use json::started_by;
pub(crate) use keep::TASK;
pub(crate) use several::SERVICE;

/// What to run, and how.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Arguments {
    /// An assembly's name, its manifest, or any task definition in JSON or YAML.
    pub(crate) what: String,
    #[command(flatten)]
    pub(crate) values: ValueArguments,
    /// A variable that wins over the definition's; for all containers when none is named.
    #[arg(long, value_name = "[CONTAINER:]NAME=VALUE", value_parser = environment::over)]
    pub(crate) env: Vec<environment::Over>,
    /// The program for a container whose image is none of the components'.
    #[arg(long, visible_alias = "bin", value_name = "CONTAINER=FILE", value_parser = pair)]
    pub(crate) program: Vec<(String, String)>,
    /// Runs what is in a container's image, which podman or docker gives out; nothing of theirs runs.
    #[arg(long, value_name = "CONTAINER[=ENGINE]", value_parser = image::choice)]
    pub(crate) image: Vec<image::Choice>,
    /// A file of variables, a line each, `[CONTAINER:]NAME=VALUE`; `--env` wins over it.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Leaves a container out; who waits for it does not.
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) skip: Vec<String>,
    /// Lets something simple stand in a container's place: sleep (when left out), http-200, echo, otlp-sink or
    /// blackhole, on the ports of its `portMappings` unless others are named.
    #[arg(long, value_name = "CONTAINER[=KIND[:PORT,…]]", value_parser = stand_in::stub)]
    pub(crate) stub: Vec<stand_in::Stub>,
    /// Divides the intervals and start periods of health checks.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) fast_health: u32,
    /// Tells everything as JSON, one object a line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Starts, waits until all are ready, stops: a smoke test.
    #[arg(long)]
    pub(crate) until_ready: bool,
    /// The same, and its health checks must say HEALTHY too.
    #[arg(long)]
    pub(crate) until_healthy: bool,
    /// Leaves it running and prints its name, for `ps`, `logs` and `stop`.
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Like --detach, once it is RUNNING and HEALTHY.
    #[arg(long, conflicts_with_all = ["until_ready", "until_healthy"])]
    pub(crate) wait: bool,
    /// So many tasks, as a service has them: each connection goes to the next one, and one that ends is replaced.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20),
        conflicts_with = "exit_code_from")]
    pub(crate) count: Option<u8>,
    /// Starts a container again when its program changes: in order, while the others go on.
    #[arg(long)]
    pub(crate) watch: bool,
    /// What to call the run; a name of its own when left out.
    #[arg(long, value_name = "NAME", value_parser = simple)]
    pub(crate) name: Option<String>,
    /// Ends with this container's exit code, whoever ended the task.
    #[arg(long, value_name = "CONTAINER")]
    pub(crate) exit_code_from: Option<String>,
    /// Stops, with exit code 124, after this long; with --until-ready when not ready after it.
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub(crate) timeout: Option<Duration>,
    /// Offers the task's ports on every address of this machine, so that the network around can reach them.
    #[arg(long)]
    pub(crate) bind_all: bool,
    /// Whether the task is held to its `cpu` and `memory`.
    #[arg(long, value_enum, default_value_t = environment::Limits::Task)]
    pub(crate) limits: environment::Limits,
    /// The task's network.
    #[arg(long, value_enum, default_value_t = network::Net::Task)]
    pub(crate) net: network::Net,
    /// Where on this machine a port of the task is; the ports of `portMappings` are where they are when left
    /// out. Port 0 is any that is free.
    #[arg(long, short = 'p', value_name = "[PORT:]PORT", value_parser = network::publish)]
    pub(crate) publish: Vec<network::Publish>,
    /// Whose AWS credentials the containers are given: off, profile, profile:NAME, role or role:ARN.
    #[arg(long, value_name = "WHOSE", default_value = "off", value_parser = credentials::choice)]
    pub(crate) credentials: credentials::Choice,
    /// Lets the task reach something outside of it; addresses on the loopback that its variables name are
    /// reached without.
    #[arg(long, value_name = "HOST:PORT", value_parser = network::reach)]
    pub(crate) reach: Vec<network::Reach>,
}

/// Called before the command line is read: answers when this process is a container's init.
pub(crate) fn intercept() -> Option<ExitCode> {
    task_runner::init::intercept().or_else(task_runner::stub::intercept)
}

/// Runs it. The exit code is the task's; 125 says that it did not even begin, 126 and 127 that a program could
/// not be run, or is not there.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> u8 {
    let done = if (arguments.detach || arguments.wait) && env::var_os(detach::NAME).is_none() {
        detach::run(arguments, project, talk)
    } else if let Some(count) = arguments.count.filter(|_| several::number().is_none()) {
        several::run(count, arguments, project, talk)
    } else {
        prepare(arguments, project, talk).and_then(|ready| ready.live(arguments, project, talk))
    };

    match done {
        Ok(code) => code,
        Err(failure) => {
            talk.failure(&failure);
            match failure {
                Failure::Program { code, .. } => code,
                _ => NOT_BEGUN,
            }
        }
    }
}

/// A task about to run.
struct Prepared {
    target: target::Target,
    plan: RunPlan,
    ports: Vec<(std::net::TcpListener, u16)>,
    ways: Vec<network::Reach>,
    /// Its folder is nobody else's, until this goes.
    claim: File,
}

fn prepare(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<Prepared, Failure> {
    let mut target = target::Target::find(arguments, project, talk)?;
    let mut definition = target.definition.clone();
    task_runner::names(&definition).map_err(|why| Failure::Usage(why.to_string()))?;
    stand_in::are_there(arguments, &definition)?;

    let stubs = stand_in::apply(&mut definition, &target, arguments, talk)?;
    let init = task_runner::init::itself()
        .map_err(|why| Failure::Usage(format!("cannot find this program's own file: {why}")))?;
    let sandbox = network::sandbox(&definition, arguments, &init, talk);
    let own_network = sandbox.as_ref().is_some_and(|one| one.shape().network);

    if !own_network && !arguments.bind_all {
        environment::keep_to_loopback(&mut definition, talk);
    }

    let mut over = environment::of_files(&arguments.env_file)?;
    over.extend_from_slice(&arguments.env);
    let overrides = environment::overrides(&over, &definition)?;
    let mut programs = programs::find(&definition, &stubs, &target, arguments, project)?;

    programs.extend(image::programs(
        &definition,
        arguments,
        sandbox.is_some(),
        project,
        talk,
    )?);

    let secrets = environment::secrets(&definition, project)?;
    let ports = if own_network {
        network::ports(&definition, arguments)?
    } else {
        environment::ports_are_free(&definition)?;
        Vec::new()
    };

    let groups = environment::groups(&definition, arguments);
    environment::not_enforced(&definition, sandbox.is_some(), groups.as_deref(), talk);
    let name = called(arguments, &definition.family);
    let folder = free_folder(&name, project)?;
    let claim = claim(&folder, &name)?;

    forget_old_runs(&folder);
    let kept_volumes = volumes(&definition, project)?;
    let mut plan = RunPlan {
        definition,
        programs,
        environment: overrides,
        defaults: defaults(&target),
        secrets,
        volumes: kept_volumes,
        folder,
        init,
        fast_health: arguments.fast_health,
        sandbox,
        groups,
        kept: BTreeMap::new(),
        hosts: None,
    };

    plan.kept = folders::kept(&plan);
    let ways = network::ways_out(&plan, &target, arguments);
    plan.hosts = network::hosts(&ways, &plan.folder)?;
    if let Some(public) = &mut target.public {
        public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
    }

    Ok(Prepared {
        target,
        plan,
        ports,
        ways,
        claim,
    })
}

impl Prepared {
    fn live(self, arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|failure| Failure::Usage(format!("cannot start: {failure}")))?;
        let claim = self.claim;
        let done = runtime.block_on(async {
            let bindings = network::bindings(&self.ports);
            let ways = network::open(&self.plan, self.ports, &self.ways, talk)?;
            let (plan, target) = (self.plan, self.target);
            let life = life::live(plan, target, (&bindings, ways), arguments, project, talk);
            Box::pin(life).await
        });

        // The run is over: another one may have its name.
        drop(claim);
        done
    }
}

/// Folders for the volumes that outlive a task on Fargate too: file systems of the network.
fn volumes(
    definition: &task_definition::TaskDefinition,
    project: &Project,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let lasting = definition.volumes.iter().filter(|one| {
        one.efs_volume_configuration.is_some() || one.s3files_volume_configuration.is_some()
    });
    let folder = |one: &task_definition::Volume| {
        let folder = private_folder(project.root(), &format!("volumes/{}", one.name))?;
        Ok((one.name.clone(), folder))
    };

    lasting.map(folder).collect()
}

/// What ECS puts into every container's environment.
fn defaults(target: &target::Target) -> BTreeMap<String, String> {
    let named = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    named
        .map(|name| (name.to_owned(), target.region.clone()))
        .into()
}

/// The name of the run: what the one who left it behind has said, or the command line.
fn called(arguments: &Arguments, family: &str) -> String {
    let said = env::var(detach::NAME).ok();
    let said = said.filter(|name| simple(name).is_ok());
    let said = said.or_else(|| arguments.name.clone());
    said.unwrap_or_else(|| run_name(family))
}

/// The folder of a run that nobody else has.
fn free_folder(name: &str, project: &Project) -> Result<PathBuf, Failure> {
    let folder = private_folder(project.root(), &format!("run/{name}"))?;
    if is_alive(&folder) {
        return Err(runs_already(name));
    }
    Ok(folder)
}

/// Takes the folder of a run for this process alone: of two that begin at once, one does.
fn claim(folder: &Path, name: &str) -> Result<File, Failure> {
    let path = folder.join("claim");
    let failure = |source| Failure::File {
        act: "write",
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failure)?;

    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(runs_already(name)),
        Err(TryLockError::Error(source)) => Err(failure(source)),
    }
}

fn runs_already(name: &str) -> Failure {
    let words = format!("`{name}` runs already; stop it with `assemble stop {name}`");
    Failure::Usage(words)
}

/// The family and something that no other run of it has.
fn run_name(family: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    format!("{family}-{:x}-{:x}", now.as_secs(), std::process::id())
}

/// A name that is one folder and needs no quotes.
fn simple(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err("use letters, digits, `-` and `_` only".to_owned())
    }
}

/// Keeps the logs of the last runs. What cannot be deleted is in nobody's way.
fn forget_old_runs(newest: &Path) {
    let runs = newest.parent().and_then(|folder| fs::read_dir(folder).ok());
    let dated = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut runs: Vec<_> = runs
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(dated)
        .collect();

    runs.sort();
    runs.retain(|(_, folder)| !is_alive(folder));
    for (_, old) in runs.iter().rev().skip(KEPT_RUNS) {
        task_runner::forget(old);
        let _ = fs::remove_dir_all(old);
    }
}

const KEPT_RUNS: usize = 20;
const NOT_BEGUN: u8 = 125;
