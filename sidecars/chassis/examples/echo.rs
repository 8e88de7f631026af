//! The smallest component: answers every request with its own body, or forwards it to an upstream.
//!
//! `tests/process/` runs it as a separate process.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use chassis::{
    BoxError, Component, Port, Problem, Process, Secret, Settings, Verb,
    http::{self, Body, Limits, Upstream, UpstreamLimits},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    chassis::main::<Echo>()
}

struct Echo;

/// The settings of the echo component.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Address to listen on.
    listen: SocketAddr,
    /// Name to greet.
    name: Option<String>,
    /// A secret that must not be printed.
    token: Secret,
    /// A list of words.
    words: Vec<String>,
    /// File that must exist before the component starts.
    greeting_file: Option<PathBuf>,
    /// Base address of the upstream that answers instead.
    upstream: Option<String>,
    /// Limits of the listener.
    limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8070)),
            name: None,
            token: Secret::default(),
            words: Vec::new(),
            greeting_file: None,
            upstream: None,
            limits: Limits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let missing = self.name.is_none();
        missing
            .then(|| Problem::new("name", "is required", "set the name to greet"))
            .into_iter()
            .collect()
    }
}

impl Component for Echo {
    const NAME: &'static str = "echo";
    const SUMMARY: &'static str = "Answers with the body of the request";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9970;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        vec![Port {
            name: "http",
            setting: "listen",
            address: config.listen,
        }]
    }

    fn check(config: &Config) -> Vec<Problem> {
        config
            .greeting_file
            .as_ref()
            .filter(|path| !path.is_file())
            .map(|_| Problem::new("greeting_file", "is not a file", "set the path of a file"))
            .into_iter()
            .collect()
    }

    fn verbs() -> &'static [Verb] {
        &[Verb {
            name: "say",
            arguments: "CODE",
            summary: "Exit with this code, or never",
        }]
    }

    async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
        let listener = chassis::bind("listen", config.listen)?;
        tracing::info!(address = %listener.local_addr()?, "listening");

        let limits = Limits {
            drain_timeout: process.common.drain_timeout,
            ..config.limits
        };
        let upstream = config
            .upstream
            .map(|base| Upstream::new(&base, UpstreamLimits::default()));
        let upstream = upstream.transpose()?;
        let service = move |request: ::http::Request<Body>| {
            let upstream = upstream.clone();
            http::trace_request("echo", request, move |request| answer(request, upstream))
        };

        http::serve(listener, service, limits, process.shutdown).await;
        Ok(())
    }

    async fn verb(_: &str, arguments: Vec<String>, _: Config, _: Process) -> Result<u8, BoxError> {
        let code = arguments.first().ok_or("say needs a code")?;
        if code == "never" {
            tracing::info!("waiting");
            std::future::pending::<()>().await;
        }
        Ok(code.parse()?)
    }
}

async fn answer(
    request: ::http::Request<Body>,
    upstream: Option<Upstream>,
) -> ::http::Response<Body> {
    tracing::debug!(path = request.uri().path(), "received");
    match upstream {
        Some(upstream) => upstream
            .send(request)
            .await
            .unwrap_or_else(|error| error.response()),
        None => ::http::Response::new(request.into_body()),
    }
}
