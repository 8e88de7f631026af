//! The smallest component: answers every request with its own body, or asks its upstream to.
//!
//! The tests of the chassis run it as a process of its own.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use chassis::{
    BoxError, Component, Port, Problem, Process, Secret, Settings, Verb,
    http::{self, Body, Limits, Upstream, UpstreamLimits},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

fn main() -> ExitCode {
    chassis::main::<Echo>()
}

struct Echo;

/// The settings of the echo component.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Where it listens.
    listen: SocketAddr,
    /// Whom it greets.
    name: Option<String>,
    /// What it must not tell.
    token: Secret,
    /// Words it likes.
    words: Vec<String>,
    /// A file it looks for before it starts.
    greeting_file: Option<PathBuf>,
    /// Who answers instead.
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
            .then(|| Problem::new("name", "is required", "set whom to greet"))
            .into_iter()
            .collect()
    }
}

impl Component for Echo {
    const NAME: &'static str = "echo";
    const SUMMARY: &'static str = "Answers with what it was sent";
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
        let missing = config.greeting_file.as_ref().filter(|path| !path.is_file());
        let hint = "name a file";
        let problem = missing.map(|_| Problem::new("greeting_file", "is no file", hint));
        problem.into_iter().collect()
    }

    fn verbs() -> &'static [Verb] {
        &[Verb {
            name: "say",
            arguments: "CODE",
            summary: "Exits with the code it is given, or `never`.",
        }]
    }

    async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
        let latch = process.readiness.latch("listener");
        let listener = TcpListener::bind(config.listen).await?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        latch.release();

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

        http::serve(listener, service, limits, process.shutdown).await
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
    tracing::debug!(path = request.uri().path(), "asked");
    match upstream {
        Some(upstream) => upstream
            .send(request)
            .await
            .unwrap_or_else(|error| error.response()),
        None => ::http::Response::new(request.into_body()),
    }
}
