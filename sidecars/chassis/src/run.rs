//! The life of a process, from its arguments to its exit code.

use std::{
    env,
    future::Future,
    io::{self, Write},
    num::NonZero,
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use tokio::{net::TcpListener, time::sleep};

use crate::{
    BoxError, Common, Component, Description, LoadedSettings, Problem, Process, Readiness,
    Shutdown, Sources, Trigger,
    admin::{self, ProbeKind},
    arguments::{self, Command},
    settings::{load_checked, load_common},
    signals::Signals,
    telemetry::{self, Output},
};

/// Runs a component as this process; `main.rs` returns what this returns.
pub fn main<C: Component>() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let sources = Sources::from_environment();
    let command = match arguments::parse::<C>(&arguments) {
        Ok(command) => command,
        Err(wrong) => {
            say(
                io::stderr(),
                &format!("error: {wrong}\n\n{}", arguments::help::<C>()),
            );
            return ExitCode::from(USAGE);
        }
    };

    match command {
        Command::Help => print(&arguments::help::<C>()),
        Command::Version => print(&format!("{} {}", C::NAME, C::VERSION)),
        Command::Describe => describe::<C>(),
        Command::Check => check::<C>(&sources),
        Command::Probe(kind) => probe::<C>(&sources, kind),
        Command::Serve => in_runtime(serve::<C>(&sources)),
        Command::Custom { verb, arguments } => {
            in_runtime(custom_verb::<C>(&sources, verb, arguments))
        }
    }
}

fn describe<C: Component>() -> ExitCode {
    match serde_json::to_string_pretty(&Description::from_component::<C>()) {
        Ok(text) => print(&text),
        Err(error) => {
            say(
                io::stderr(),
                &format!("error: the description cannot be written: {error}"),
            );
            ExitCode::FAILURE
        }
    }
}

fn check<C: Component>(sources: &Sources) -> ExitCode {
    match load_checked::<C>(sources) {
        Ok(_) => print("settings are fine"),
        Err(problems) => {
            for problem in &problems {
                say(io::stderr(), &format!("error: {}", problem.format(C::NAME)));
            }
            ExitCode::from(USAGE)
        }
    }
}

fn probe<C: Component>(sources: &Sources, kind: ProbeKind) -> ExitCode {
    let answer = load_common::<C>(sources)
        .map_err(|problems| sentences::<C>(&problems))
        .and_then(|common| admin::probe(common.admin, kind));
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(io::stderr(), &why);
            ExitCode::FAILURE
        }
    }
}

/// Runs on as many workers as there are CPUs, and waits for no blocking task that hangs.
///
/// On one CPU there is one thread: no other to wake, and answers that are ready together leave together.
fn in_runtime(process: impl Future<Output = u8>) -> ExitCode {
    let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if cpus == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };

    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(io::stderr(), &format!("error: no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };

    let code = runtime.block_on(process);
    runtime.shutdown_timeout(LEFTOVERS);
    ExitCode::from(code)
}

async fn serve<C: Component>(sources: &Sources) -> u8 {
    let started = LoadedComponent::<C>::new(sources, Output::Stdout);
    let (running, telemetry) = match started {
        Ok(started) => started,
        Err(code) => return code,
    };
    let code = running.serve().await;
    telemetry.flush(FLUSH).await;
    code
}

async fn custom_verb<C: Component>(sources: &Sources, verb: &str, arguments: Vec<String>) -> u8 {
    if let Some(done) = C::run_without_settings(verb, &arguments) {
        return done.unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "error: {error}");
            FAILED
        });
    }

    let started = LoadedComponent::<C>::new(sources, Output::Stderr);
    let (running, telemetry) = match started {
        Ok(started) => started,
        Err(code) => return code,
    };

    let code = running.verb(verb, arguments).await;
    telemetry.flush(FLUSH).await;
    code
}

/// A component whose settings are read and whose telemetry runs.
struct LoadedComponent<C: Component> {
    signals: Signals,
    loaded: LoadedSettings<C::Config>,
}

impl<C: Component> LoadedComponent<C> {
    fn new(sources: &Sources, output: Output) -> Result<(Self, telemetry::TelemetryHandle), u8> {
        // First of all: a SIGTERM that comes while keys load must not be lost.
        let signals = Signals::install();
        let log = load_common::<C>(sources).map_or_else(|_| "info".into(), |common| common.log);
        let telemetry = telemetry::install(C::NAME, C::VERSION, &log, output);
        let signals = signals.map_err(|error| {
            tracing::error!(%error, "signals cannot be watched");
            FAILED
        })?;
        let loaded = load_checked::<C>(sources).map_err(|problems| {
            for problem in &problems {
                tracing::error!(setting = problem.setting, "{}", problem.format(C::NAME));
            }
            USAGE
        })?;

        Ok((Self { signals, loaded }, telemetry))
    }

    async fn serve(self) -> u8 {
        let LoadedSettings { common, config } = self.loaded;
        let admin = match TcpListener::bind(common.admin).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, address = %common.admin, "`admin` cannot be bound");
                return FAILED;
            }
        };

        let address = admin.local_addr().unwrap_or(common.admin);
        tracing::info!(component = C::NAME, version = C::VERSION, admin = %address, "starting");
        let lifecycle = Lifecycle::new(common, self.signals);
        let process = lifecycle.process();
        let serving = async { C::serve(config, process).await.map(|()| DONE) };

        // What the drain limit cut off has been said; the stop itself went as it should.
        let code = lifecycle.run(Some(admin), serving, DONE).await;
        tracing::info!(code, "stopped");
        code
    }

    async fn verb(self, verb: &str, arguments: Vec<String>) -> u8 {
        let LoadedSettings { common, config } = self.loaded;
        // A serving instance may hold the port; a verb does its work without one.
        let admin = TcpListener::bind(common.admin).await.ok();
        let lifecycle = Lifecycle::new(common, self.signals);
        let process = lifecycle.process();
        // A verb that was cut off has not done its work.
        lifecycle
            .run(admin, C::verb(verb, arguments, config, process), FAILED)
            .await
    }
}

/// What happens around a component while it runs.
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
        }
    }

    /// Runs the component to its own end, or through a stop from outside, which leaves it
    /// `unfinished` when its time is over.
    async fn run(
        self,
        admin: Option<TcpListener>,
        component: impl Future<Output = Result<u8, BoxError>>,
        unfinished: u8,
    ) -> u8 {
        let mut component = pin!(component);
        let readiness = self.readiness.clone();
        let answering = async {
            if let Some(listener) = admin
                && let Err(error) = admin::answer(listener, readiness).await
            {
                tracing::error!(%error, "`admin` answers no more");
            }
            std::future::pending::<()>().await;
        };

        let stopping = self.stop();
        let ended = tokio::select! {
            // The component first: it takes its latches before anybody can ask whether it is ready.
            biased;
            ended = component.as_mut() => Some(ended),
            () = stopping => None,
            () = answering => None,
        };

        match ended {
            Some(Ok(code)) => code,
            Some(Err(error)) => {
                tracing::error!(error = %crate::error::chain(&*error), "failed");
                FAILED
            }
            None => {
                tracing::warn!("the component did not finish within `drain_timeout`");
                unfinished
            }
        }
    }

    /// Resolves when a stop was asked for and the component has had its time.
    async fn stop(mut self) {
        let stop = self.signals.next().await;
        tracing::info!(signal = stop.name(), "stopping");
        self.readiness.drain();

        let mut signals = self.signals;
        let second = async {
            let second = signals.next().await;
            tracing::warn!(signal = second.name(), "second signal, ending at once");
            std::process::exit(second.exit_code());
        };
        let drain = async {
            sleep(self.common.drain_delay.duration()).await;
            self.trigger.fire();
            // The component's own drain has this limit; what it says at its end needs a moment.
            sleep(self.common.drain_timeout.duration() + LAST_WORDS).await;
        };

        tokio::select! {
            () = second => {}
            () = drain => {}
        }
    }
}

fn sentences<C: Component>(problems: &[Problem]) -> String {
    let sentences: Vec<String> = problems
        .iter()
        .map(|problem| problem.format(C::NAME))
        .collect();
    sentences.join("\n")
}

fn print(text: &str) -> ExitCode {
    say(io::stdout(), text);
    ExitCode::SUCCESS
}

fn say(mut to: impl Write, text: &str) {
    // Nobody is left to tell when the reader has gone.
    let _ = writeln!(to, "{text}");
}

const DONE: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
/// How long what telemetry is left may take to send.
const FLUSH: Duration = Duration::from_secs(2);
/// How long after the drain limit a component may still say what it left open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long tasks that were left behind may take to end.
const LEFTOVERS: Duration = Duration::from_millis(200);
