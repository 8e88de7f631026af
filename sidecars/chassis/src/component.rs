//! The contract between a component and the chassis.

use std::{future::Future, net::SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, Problem, Readiness, Settings, Shutdown};

/// Any error a component ends with; the chassis logs it and exits 1.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A program that can stand in a task.
pub trait Component: Send + Sync + 'static {
    /// The name of the folder, the package, the binary and, upper-cased, the settings' prefix.
    const NAME: &'static str;
    /// One sentence about what the component does.
    const SUMMARY: &'static str;
    /// The version of the component: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The loopback port that answers `/live` and `/ready` unless `admin` says otherwise.
    const ADMIN_PORT: u16;
    /// Everything about the component that can be set from outside.
    type Config: Settings;

    /// Lists the ports the component listens on with this configuration.
    fn ports(config: &Self::Config) -> Vec<Port>;

    /// Lists the verbs the component has beyond `serve`, `probe`, `describe` and `check`.
    fn verbs() -> &'static [Verb] {
        &[]
    }

    /// Runs a verb that needs no settings, before any are read; `None` where it does need them.
    fn run_without_settings(name: &str, arguments: &[String]) -> Option<Result<u8, BoxError>> {
        let _ = (name, arguments);
        None
    }

    /// Names the verb that runs when the command line has none.
    ///
    /// One of the component's own may stand in where the environment shows that it is meant: for
    /// a program that never served, say, whose place this one takes.
    fn default_verb() -> &'static str {
        "serve"
    }

    /// Looks deeper than the settings alone: do files parse, do keys load.
    ///
    /// It is asked even where [`problems`](Settings::problems) has found something, so that all is said
    /// at once; it names only what it has looked at itself.
    fn check(config: &Self::Config) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// Binds what the configuration names and serves until the shutdown; returns after the drain.
    ///
    /// Latches are to be taken before the first await, so that readiness never shows too early.
    fn serve(
        config: Self::Config,
        process: Process,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Runs one of the component's own verbs; what it returns is the exit code.
    fn verb(
        name: &str,
        arguments: Vec<String>,
        config: Self::Config,
        process: Process,
    ) -> impl Future<Output = Result<u8, BoxError>> + Send {
        let message = format!("`{name}` is listed in `verbs` but `verb` does not run it");
        drop((arguments, config, process));
        async move { Err(message.into()) }
    }
}

/// A port a component listens on.
#[derive(Debug, Clone)]
pub struct Port {
    /// The interface offered there: `http`, `https`, `otlp`.
    pub name: &'static str,
    /// The setting that moves it.
    pub setting: &'static str,
    /// Where it listens with the configuration at hand.
    pub address: SocketAddr,
}

/// A verb a component adds to the ones every component has.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Verb {
    /// The word on the command line.
    pub name: &'static str,
    /// Its arguments, as the help shows them: `METHOD PATH`.
    pub arguments: &'static str,
    /// One sentence about what it does.
    pub summary: &'static str,
}

/// What the chassis hands to a running component.
#[derive(Debug)]
pub struct Process {
    /// Resolves when the component must stop accepting.
    pub shutdown: Shutdown,
    /// Where the component says what it still waits for.
    pub readiness: Readiness,
    /// The settings every component has.
    pub common: Common,
}

/// The settings every component has, read under the component's own prefix.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Common {
    /// Address that answers `/live` and `/ready`.
    pub admin: SocketAddr,
    /// How long to keep accepting after SIGTERM, not ready any more, before the drain starts.
    pub drain_delay: HumanDuration,
    /// How long what is in flight may take to finish once the drain has started.
    pub drain_timeout: HumanDuration,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or directives as `info,hyper=debug`.
    pub log: String,
}

impl Common {
    /// The defaults of a component whose admin port is `admin_port`.
    pub fn with_admin_port(admin_port: u16) -> Self {
        Self {
            admin: SocketAddr::from(([127, 0, 0, 1], admin_port)),
            drain_delay: HumanDuration::from_secs(0),
            drain_timeout: HumanDuration::from_secs(20),
            log: "info".into(),
        }
    }
}
