//! `assemble emulate`: serves the ECS API on a local port. Its tasks really run.
//!
//! The API is the library `ecs-emulator`; here are its arguments and its messages.

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use ecs_emulator::{Config, ContainerOption, Emulator, FaultRules, ServiceOptions};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::pair;
use crate::error::CliError;
use crate::project::Project;
use crate::reading;
use crate::ui::Ui;

/// Arguments of `emulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Port on 127.0.0.1; 0 chooses a free one.
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    port: u16,
    /// Region in ARNs, and the one that clients sign for.
    #[arg(long, value_name = "REGION", default_value = "us-east-1", value_parser = parse_region)]
    region: String,
    /// Account in ARNs.
    #[arg(long, value_name = "ACCOUNT", default_value = "000000000000", value_parser = parse_account)]
    account: String,
    /// Number of tasks that may run at the same time.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_tasks: u16,
    /// File of events, in the format of EventBridge [default: `.assemble/emulator/events.jsonl`].
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Faults to answer with, by operation (YAML).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Program to run for containers of this name.
    #[arg(long, visible_alias = "bin", value_name = "CONTAINER=FILE", value_parser = parse_program)]
    program: Vec<ContainerOption>,
    /// Run containers of this name from their image; SOURCE as for `up`.
    #[arg(long, value_name = "CONTAINER[=SOURCE]", value_parser = parse_image)]
    image: Vec<ContainerOption>,
    /// Run every container from its image, except those with --program, --stub or --skip.
    #[arg(long)]
    images: bool,
    /// Replace containers of this name with a stub, as for `up`.
    #[arg(long, value_name = "CONTAINER[=KIND[:PORT,…]]", value_parser = parse_stub)]
    stub: Vec<ContainerOption>,
    /// Do not start containers of this name.
    #[arg(long, value_name = "CONTAINER", value_parser = parse_skip)]
    skip: Vec<ContainerOption>,
    /// Set an environment variable in all containers of all tasks.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_env)]
    env: Vec<String>,
    /// AWS credentials to give to the containers: off, profile, profile:NAME, role or role:ARN. Tasks without a role
    /// get none with `role`.
    #[arg(long, value_name = "SOURCE", default_value = "off", value_parser = parse_credentials)]
    credentials: String,
    /// Divide the intervals and start periods of health checks by N.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    fast_health: u32,
    /// Divide the waits of services (bake times, timeouts of hooks, pauses between attempts) by N.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    time_scale: u32,
    /// Port of the listener of a target group; TARGET_GROUP:test for test traffic [default: a free port].
    #[arg(long, value_name = "TARGET_GROUP=PORT", value_parser = parse_listen)]
    listen: Vec<(String, u16)>,
    /// Seconds that a task may keep open connections before it is stopped.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3600))]
    deregistration_delay: u32,
    /// Allow outgoing connections of tasks to HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_reach)]
    reach: Vec<String>,
}

/// Serves until SIGINT, SIGTERM or SIGHUP, and then stops all tasks. A second signal kills them.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let config = arguments.to_config(project)?;
    // Two threads, so that a request is not delayed by the runner's processes.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One would let a long call delay the others.
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|why| CliError::Usage(format!("cannot start the async runtime: {why}")))?;
    runtime.block_on(serve(config, arguments.port, ui))?;
    Ok(0)
}

async fn serve(config: Config, port: u16, ui: &Ui) -> Result<(), CliError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(|why| {
        CliError::Usage(format!(
            "cannot listen on 127.0.0.1:{port}: {why}; `--port 0` chooses a free port"
        ))
    })?;

    let usage = |why: ecs_emulator::Error| CliError::Usage(why.to_string());
    let emulator = Emulator::new(config, listener).map_err(usage)?;

    let (endpoint, files) = (emulator.address().map_err(usage)?, emulator.key_files());
    ui.message(&format!(
        "ECS on http://{endpoint}; keys, valid until it stops: {}\ntry, in another terminal:\n  . {}\n  \
         aws ecs list-clusters",
        files.profile.display(),
        files.variables.display()
    ));

    let signals =
        || Signals::new().map_err(|why| CliError::Usage(format!("cannot wait for signals: {why}")));
    let (mut first, mut second) = (signals()?, signals()?);
    let shutdown = async {
        first.next().await;
        ui.message("stopping all tasks; Ctrl-C kills them");
    };

    // Each receives every signal.
    let kill = async {
        second.next().await;
        second.next().await;
    };

    emulator.serve(shutdown, kill).await.map_err(usage)
}

impl Arguments {
    fn to_config(&self, project: &Project) -> Result<Config, CliError> {
        // Tasks are processes of this program.
        let executable = std::env::current_exe().map_err(|why| {
            CliError::Usage(format!("cannot find the path of this executable: {why}"))
        })?;

        let faults = match &self.faults {
            Some(file) => {
                let rules = FaultRules::parse(&file.display().to_string(), &reading::text(file)?);
                rules.map_err(|why| CliError::Usage(why.to_string()))?
            }
            None => FaultRules::default(),
        };

        // Options that name a container fit only definitions that have it, so each task gets its own.
        let by_container = [&self.program, &self.image, &self.stub, &self.skip];

        Ok(Config {
            region: self.region.clone(),
            account: self.account.clone(),
            max_tasks: self.max_tasks.into(),
            options: self.task_options(),
            role_options: self.role_options(),
            container_options: by_container.into_iter().flatten().cloned().collect(),
            events: self.events.clone(),
            faults,
            services: self.service_options(),
            ..Config::new(project.root().to_owned(), executable)
        })
    }

    fn service_options(&self) -> ServiceOptions {
        ServiceOptions {
            time_scale: self.time_scale.into(),
            listen: self.listen.iter().cloned().collect(),
            deregistration_delay: Duration::from_secs(self.deregistration_delay.into()),
        }
    }

    /// Returns the options of `up` that tasks with a role get.
    fn role_options(&self) -> Vec<OsString> {
        // `up` rejects it for a definition without a role.
        let is_role = self.credentials == ROLE;
        let option = is_role.then(|| format!("--credentials={ROLE}").into());
        option.into_iter().collect()
    }

    /// Returns the options of `up` that every task gets.
    fn task_options(&self) -> Vec<OsString> {
        let with_value = |name: &str, value: &str| OsString::from(format!("--{name}={value}"));
        let mut options = vec![with_value("fast-health", &self.fast_health.to_string())];
        if self.credentials != ROLE {
            options.push(with_value("credentials", &self.credentials));
        }
        options.extend(self.images.then(|| OsString::from("--images")));
        options.extend(self.env.iter().map(|text| with_value("env", text)));
        options.extend(self.reach.iter().map(|text| with_value("reach", text)));
        options
    }
}

/// Returns an option of `up` that names a container.
fn for_container(name: &str, text: &str) -> ContainerOption {
    let container = text.split('=').next().unwrap_or(text);
    ContainerOption {
        container: container.to_owned(),
        argument: format!("--{name}={text}").into(),
    }
}

fn parse_program(text: &str) -> Result<ContainerOption, String> {
    let (container, file) = pair(text)?;
    // Tasks run in the same directory, but an absolute path is right in any.
    let file = std::path::absolute(&file).map_err(|why| why.to_string())?;
    Ok(for_container(
        "program",
        &format!("{container}={}", file.display()),
    ))
}

fn parse_image(text: &str) -> Result<ContainerOption, String> {
    local::parse_image_choice(text).map(|_| for_container("image", text))
}

fn parse_stub(text: &str) -> Result<ContainerOption, String> {
    local::parse_stub(text).map(|_| for_container("stub", text))
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a value parser")]
fn parse_skip(text: &str) -> Result<ContainerOption, String> {
    Ok(for_container("skip", text))
}

fn parse_listen(text: &str) -> Result<(String, u16), String> {
    let (group, port) = pair(text)?;
    let port = port
        .parse()
        .map_err(|_| format!("`{port}` is no port: use a number from 0 to 65535"))?;
    Ok((group, port))
}

fn parse_env(text: &str) -> Result<String, String> {
    let (name, _) = pair(text)?;
    if name.contains(':') {
        return Err("expected NAME=VALUE: the variable is set in all containers".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_credentials(text: &str) -> Result<String, String> {
    super::up::parse_credentials(text).map(|_| text.trim_end_matches(':').to_owned())
}

fn parse_reach(text: &str) -> Result<String, String> {
    local::parse_reach(text).map(|_| text.to_owned())
}

fn parse_region(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("expected a region, for example `eu-central-1`".to_owned())
    }
}

fn parse_account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.chars().all(|c| c.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("expected twelve digits".to_owned())
    }
}

/// The value of `--credentials` with which each task gets the credentials of its own role.
const ROLE: &str = "role";

/// SIGINT, SIGTERM and SIGHUP.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
