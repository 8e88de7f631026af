//! Implements the toolkit's component interface: ports, verbs, checks, serving.

use chassis::{BoxError, Component, Port, Problem, Process, Verb};

use crate::s3::Aws;
use crate::settings::Config;
use crate::{libav, run, serve};

/// The component `thumbnail`.
#[derive(Debug)]
pub struct Thumbnail;

impl Component for Thumbnail {
    const NAME: &'static str = "thumbnail";
    const SUMMARY: &'static str = "Makes a picture of a video";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9905;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        let port = |name| Port {
            name,
            setting: "listen",
            address: config.listen,
        };
        vec![port("thumbnail"), port("http")]
    }

    fn verbs() -> &'static [Verb] {
        &[Verb {
            name: "run",
            arguments: "[INPUT [OUTPUT]]",
            summary: "Make a picture, print a report as a line of JSON, and exit.",
        }]
    }

    // The legacy task had no verbs, so its variables alone select `run`.
    fn default_verb() -> &'static str {
        if run::has_legacy_variables(|name| {
            std::env::var_os(name).is_some_and(|value| !value.is_empty())
        }) {
            "run"
        } else {
            "serve"
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        // Without proxies and AWS variables: only `ca_file` is checked here.
        let opened = config.access();
        let hint = "set the path of a PEM file of certificates";
        let problem = opened
            .err()
            .map(|error| Problem::new("ca_file", error.chain(), hint));
        problem.into_iter().collect()
    }

    async fn serve(mut config: Config, process: Process) -> Result<(), BoxError> {
        let listener = chassis::bind("listen", config.listen)?;
        tracing::info!(address = %listener.local_addr()?, libav = libav::version()?, "serving");
        config.limits.drain_timeout = process.common.drain_timeout;
        config.memory_bytes = process.container_memory.unwrap_or(config.memory_bytes);
        config.proxy = process.proxy;
        config.aws = Aws::from_variables(|name| std::env::var(name).ok());
        Ok(serve(config, listener, process.shutdown, process.readiness).await?)
    }

    async fn verb(
        _name: &str,
        arguments: Vec<String>,
        config: Config,
        process: Process,
    ) -> Result<u8, BoxError> {
        run::run_verb(arguments, config, process).await
    }
}
