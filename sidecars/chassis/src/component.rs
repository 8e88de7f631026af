//! The contract between a component and the chassis.

use std::{future::Future, net::SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HumanDuration, Problem, Readiness, Settings, Shutdown, http::client::ProxySettings};

/// Any error that ends a component; the chassis logs it and exits 1.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A program that can run as a container of a task.
pub trait Component: Send + Sync + 'static {
    /// The name of the folder, the package and the binary; in upper case, the prefix of the settings.
    const NAME: &'static str;
    /// One sentence that describes what the component does.
    const SUMMARY: &'static str;
    /// The version of the component: `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// The loopback port that answers `/live` and `/ready`, unless `admin` overrides it.
    const ADMIN_PORT: u16;
    /// The settings of the component.
    type Config: Settings;

    /// Returns the ports the component listens on with this configuration.
    fn ports(config: &Self::Config) -> Vec<Port>;

    /// Returns the verbs the component has besides `serve`, `probe`, `describe` and `check`.
    fn verbs() -> &'static [Verb] {
        &[]
    }

    /// Runs a verb that needs no settings, before any are read; returns `None` if the verb needs them.
    fn run_without_settings(name: &str, arguments: &[String]) -> Option<Result<u8, BoxError>> {
        let _ = (name, arguments);
        None
    }

    /// Returns the verb that runs when the command line has none.
    ///
    /// An additional verb may be the default where the environment asks for it, such as when the image
    /// replaces a program that runs once instead of serving.
    fn default_verb() -> &'static str {
        "serve"
    }

    /// Validates what the settings refer to: that files parse, that keys load.
    ///
    /// Runs even if [`problems`](Settings::problems) found some, so that all problems are reported
    /// together; it must not repeat those.
    fn check(config: &Self::Config) -> Vec<Problem> {
        let _ = config;
        Vec::new()
    }

    /// Binds the configured addresses and serves until the shutdown; returns after the drain.
    ///
    /// Latches must be taken before the first await, so that the component is never ready too early.
    fn serve(
        config: Self::Config,
        process: Process,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Runs one of the additional verbs and returns the exit code.
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
    /// The interface offered on the port: `http`, `https`, `otlp`.
    pub name: &'static str,
    /// The setting that changes the address.
    pub setting: &'static str,
    /// The address with the given configuration.
    pub address: SocketAddr,
}

/// A verb that a component adds to the common ones.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Verb {
    /// The name on the command line.
    pub name: &'static str,
    /// The arguments as the help shows them: `METHOD PATH`.
    pub arguments: &'static str,
    /// One line of help, in the imperative.
    pub summary: &'static str,
}

/// The handles and settings that the chassis passes to a running component.
#[derive(Debug)]
pub struct Process {
    /// Resolves when the component must stop accepting.
    pub shutdown: Shutdown,
    /// Holds the latches the component is waiting for.
    pub readiness: Readiness,
    /// The settings every component has.
    pub common: Common,
    /// The proxies of the environment, for a component that reaches servers outside the task.
    pub proxy: ProxySettings,
    /// The memory limit of the container in bytes, if there is one.
    pub container_memory: Option<u64>,
}

/// The settings every component has, read with the component's prefix.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Common {
    /// Address that answers `/live` and `/ready`.
    pub admin: SocketAddr,
    /// How long to keep accepting connections after SIGTERM, no longer ready, before the drain starts.
    pub drain_delay: HumanDuration,
    /// How long requests and connections in flight may take to finish once the drain has started.
    pub drain_timeout: HumanDuration,
    /// Log level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as `info,hyper=debug`.
    pub log: String,
}

impl Common {
    /// Returns the defaults of a component with this admin port.
    pub fn with_admin_port(admin_port: u16) -> Self {
        Self {
            admin: SocketAddr::from(([127, 0, 0, 1], admin_port)),
            drain_delay: HumanDuration::from_secs(0),
            drain_timeout: HumanDuration::from_secs(20),
            log: "info".into(),
        }
    }
}
