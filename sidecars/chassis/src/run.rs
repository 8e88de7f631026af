//! The lifecycle of a process, from its arguments to its exit code.

use std::{
    env,
    future::Future,
    io::{self, Write},
    num::NonZero,
    pin::{Pin, pin},
    process::ExitCode,
    time::Duration,
};

use tokio::{net::TcpListener, time::sleep};

use crate::{
    BoxError, Common, Component, Description, LoadedSettings, Problem, Process, Readiness,
    Shutdown, Sources, Trigger,
    admin::{self, ProbeKind},
    arguments::{self, Command},
    http::client::ProxySettings,
    memory::container_memory,
    settings::{load_checked, load_common},
    signals::Signals,
    telemetry::{self, Output, PrometheusReader},
};

/// Runs a component as this process and returns its exit code, which `main` returns.
pub fn main<C: Component>() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    main_with::<C>(C::NAME, &arguments)
}

/// Runs a component with the arguments after its name, for a program that contains several components.
///
/// `program` is how the user calls the component, for the usage line: `sidecars tls-proxy`.
pub fn main_with<C: Component>(program: &str, arguments: &[String]) -> ExitCode {
    let sources = Sources::from_environment();
    let help = || arguments::format_help::<C>(program);
    let command = match arguments::parse::<C>(arguments) {
        Ok(command) => command,
        Err(message) => {
            write_line(io::stderr(), &format!("error: {message}\n\n{}", help()));
            return ExitCode::from(USAGE);
        }
    };

    match command {
        Command::Help => print(&help()),
        Command::Version => print(&format!("{} {}", C::NAME, C::VERSION)),
        Command::Describe => describe::<C>(),
        Command::Check => check::<C>(&sources),
        Command::Probe(kind) => probe::<C>(&sources, kind),
        Command::Serve => in_runtime(on_heap(|| serve::<C>(&sources))),
        Command::Custom { verb, arguments } => {
            in_runtime(on_heap(|| custom_verb::<C>(&sources, verb, arguments)))
        }
    }
}

fn describe<C: Component>() -> ExitCode {
    match serde_json::to_string_pretty(&Description::from_component::<C>()) {
        Ok(text) => print(&text),
        Err(error) => {
            write_line(
                io::stderr(),
                &format!("error: cannot write the description: {error}"),
            );
            ExitCode::FAILURE
        }
    }
}

fn check<C: Component>(sources: &Sources) -> ExitCode {
    match load_checked::<C>(sources) {
        Ok(_) => print("settings are valid"),
        Err(problems) => {
            for problem in &problems {
                write_line(io::stderr(), &format!("error: {}", problem.format(C::NAME)));
            }
            ExitCode::from(USAGE)
        }
    }
}

fn probe<C: Component>(sources: &Sources, kind: ProbeKind) -> ExitCode {
    let result = load_common::<C>(sources)
        .map_err(|problems| format_problems::<C>(&problems))
        .and_then(|common| admin::probe(common.admin, kind));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            write_line(io::stderr(), &reason);
            ExitCode::FAILURE
        }
    }
}

/// Runs the future with one worker per CPU, and does not wait for blocking tasks that hang.
///
/// With one CPU everything runs on one thread, which saves the wakeups of a worker thread.
fn in_runtime(process: Pin<Box<dyn Future<Output = u8> + '_>>) -> ExitCode {
    // Respects the CPU quota of the cgroup, which on Fargate may be a fraction of the host's CPUs.
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if cpus == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };

    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            write_line(
                io::stderr(),
                &format!("error: cannot start the runtime: {error}"),
            );
            return ExitCode::FAILURE;
        }
    };

    let code = runtime.block_on(process);
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    ExitCode::from(code)
}

async fn serve<C: Component>(sources: &Sources) -> u8 {
    let started = LoadedComponent::<C>::start(sources, Output::Stdout);
    let (running, telemetry) = match started {
        Ok(started) => started,
        Err(code) => return code,
    };
    let code = running.serve().await;
    telemetry.flush(FLUSH_TIMEOUT).await;
    code
}

async fn custom_verb<C: Component>(sources: &Sources, verb: &str, arguments: Vec<String>) -> u8 {
    if let Some(result) = C::run_without_settings(verb, &arguments) {
        return result.unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "error: {error}");
            FAILED
        });
    }

    // Logs go to stderr, because stdout is for the verb's result.
    let started = LoadedComponent::<C>::start(sources, Output::Stderr);
    let (running, telemetry) = match started {
        Ok(started) => started,
        Err(code) => return code,
    };

    let code = running.verb(verb, arguments).await;
    telemetry.flush(FLUSH_TIMEOUT).await;
    code
}

/// A component with loaded settings, installed signal handlers and running telemetry.
struct LoadedComponent<C: Component> {
    signals: Signals,
    loaded: LoadedSettings<C::Config>,
    metrics: Option<PrometheusReader>,
}

impl<C: Component> LoadedComponent<C> {
    fn start(sources: &Sources, output: Output) -> Result<(Self, telemetry::TelemetryHandle), u8> {
        // First, because the kernel drops a SIGTERM that reaches PID 1 without a handler.
        let signals = Signals::install();
        // The log level is needed to report the problems of the other settings.
        let common = on_own_thread(|| load_common::<C>(sources));
        let log = common.map_or_else(|_| "info".into(), |common| common.log);
        let telemetry = telemetry::install(C::NAME, C::VERSION, &log, output);
        let signals = signals.map_err(|error| {
            tracing::error!(%error, "cannot install signal handlers");
            FAILED
        })?;
        let loaded = on_own_thread(|| load_checked::<C>(sources)).map_err(|problems| {
            for problem in &problems {
                tracing::error!(setting = problem.setting, "{}", problem.format(C::NAME));
            }
            USAGE
        })?;

        let metrics = telemetry.prometheus.clone();
        let started = Self {
            signals,
            loaded,
            metrics,
        };
        Ok((started, telemetry))
    }

    async fn serve(self) -> u8 {
        let LoadedSettings { common, config } = self.loaded;
        // Bound before the component starts, so that a port conflict is reported first.
        let admin = match TcpListener::bind(common.admin).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, address = %common.admin, "cannot bind `admin`");
                return FAILED;
            }
        };

        let address = admin.local_addr().unwrap_or(common.admin);
        tracing::info!(component = C::NAME, version = C::VERSION, admin = %address, "starting");
        let lifecycle = Lifecycle::new(common, self.signals);
        let process = lifecycle.process();
        let serving = on_heap(|| async { C::serve(config, process).await.map(|()| DONE) });

        // Connections cut off by the drain timeout were logged; the stop itself is a success.
        let admin = Some((admin, self.metrics));
        let code = lifecycle.run(admin, serving, DONE).await;
        tracing::info!(code, "stopped");
        code
    }

    async fn verb(self, verb: &str, arguments: Vec<String>) -> u8 {
        let LoadedSettings { common, config } = self.loaded;
        // The port may belong to an instance that serves; a verb runs without health endpoints then.
        let admin = TcpListener::bind(common.admin).await.ok();
        let admin = admin.map(|listener| (listener, self.metrics));
        let lifecycle = Lifecycle::new(common, self.signals);
        let process = lifecycle.process();
        // Unlike a server, a verb that was cut off has not completed its work.
        lifecycle
            .run(
                admin,
                on_heap(|| C::verb(verb, arguments, config, process)),
                FAILED,
            )
            .await
    }
}

/// The signals, readiness and shutdown of a running component.
struct Lifecycle {
    common: Common,
    readiness: Readiness,
    trigger: Trigger,
    shutdown: Shutdown,
    signals: Signals,
}

impl Lifecycle {
    fn new(common: Common, signals: Signals) -> Self {
        let (trigger, shutdown) = Shutdown::pair();
        Self {
            common,
            readiness: Readiness::new(),
            trigger,
            shutdown,
            signals,
        }
    }

    fn process(&self) -> Process {
        Process {
            shutdown: self.shutdown.clone(),
            readiness: self.readiness.clone(),
            common: self.common.clone(),
            proxy: ProxySettings::from_environment(),
            container_memory: container_memory(),
        }
    }

    /// Runs the component until it returns, or through a requested stop; returns `unfinished` if it
    /// does not return within the drain timeout.
    async fn run(
        self,
        admin: Option<(TcpListener, Option<PrometheusReader>)>,
        component: impl Future<Output = Result<u8, BoxError>>,
        unfinished: u8,
    ) -> u8 {
        let mut component = pin!(component);
        let readiness = self.readiness.clone();
        let answering = async {
            match admin {
                Some((listener, metrics)) => admin::answer(listener, readiness, metrics).await,
                None => std::future::pending().await,
            }
        };

        let stopping = self.stop();
        let ended = tokio::select! {
            // The component first: it takes its latches before the admin endpoint can report readiness.
            biased;
            ended = component.as_mut() => Some(ended),
            () = stopping => None,
            () = answering => None,
        };

        match ended {
            Some(Ok(code)) => code,
            Some(Err(error)) => {
                tracing::error!(error = %crate::error::format_chain(&*error), "component failed");
                FAILED
            }
            None => {
                tracing::warn!("component did not finish within `drain_timeout`");
                unfinished
            }
        }
    }

    /// Resolves when a stop was requested and the component's time to finish is over.
    async fn stop(mut self) {
        let stop = self.signals.next().await;
        tracing::info!(signal = stop.name(), "stopping");
        self.readiness.drain();

        let mut signals = self.signals;
        let second = async {
            let second = signals.next().await;
            tracing::warn!(signal = second.name(), "second signal, exiting immediately");
            // The operator does not want to wait, so neither the drain nor the flush of telemetry runs.
            std::process::exit(second.exit_code());
        };
        let drain = async {
            sleep(self.common.drain_delay.duration()).await;
            self.trigger.fire();
            // The component applies this timeout itself; it gets a little longer to log open connections.
            sleep(self.common.drain_timeout.duration() + DRAIN_GRACE).await;
        };

        tokio::select! {
            () = second => {}
            () = drain => {}
        }
    }
}

/// Creates a future on the heap.
///
/// A component's future has tens of kilobytes. In a frame of its own each copy of it is gone before the next one is made;
/// in those of `main` and of the runtime, all of them would stay on the stack while the process serves.
#[inline(never)]
fn on_heap<'f, F: Future + 'f>(
    create: impl FnOnce() -> F,
) -> Pin<Box<dyn Future<Output = F::Output> + 'f>> {
    Box::pin(create())
}

/// Runs `work` on a thread that ends with it.
///
/// Reading settings takes 60 to 100 KiB of stack, once. Those of the main thread would be kept while the process serves.
fn on_own_thread<T: Send>(work: impl Fn() -> T + Sync) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, &work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // At the limit of threads: only memory is lost.
            Err(_) => work(),
        }
    })
}

fn format_problems<C: Component>(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| problem.format(C::NAME))
        .collect::<Vec<_>>()
        .join("\n")
}

fn print(text: &str) -> ExitCode {
    write_line(io::stdout(), text);
    ExitCode::SUCCESS
}

fn write_line(mut to: impl Write, text: &str) {
    // Fails only if the reader closed the pipe, such as `head`; there is no other place to report it.
    let _ = writeln!(to, "{text}");
}

const DONE: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
/// How long the remaining telemetry may take to send.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after the drain timeout a component may still log what it left open.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// How long the remaining tasks may take to end.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);
