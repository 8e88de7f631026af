//! Implements the toolkit's component interface: ports, verbs, checks, serving.

use std::env;

use chassis::{BoxError, Component, Port, Problem, Process, Verb, bind};

use crate::forwarder::{Listeners, serve};
use crate::send::Destination;
use crate::{Config, show};

/// Receives OTLP from the containers of a task, batches it, and sends it on.
#[derive(Debug)]
pub struct TelemetryForwarder;

impl Component for TelemetryForwarder {
    const NAME: &'static str = "telemetry-forwarder";
    const SUMMARY: &'static str =
        "Receives OTLP from the containers of a task, batches it, and sends it on";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9903;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        vec![
            Port {
                name: "otlp",
                setting: "listen",
                address: config.listen,
            },
            Port {
                name: "otlp-grpc",
                setting: "listen_grpc",
                address: config.listen_grpc,
            },
        ]
    }

    fn verbs() -> &'static [Verb] {
        &[Verb {
            name: "show",
            arguments: "FILE [TRACE-ID]",
            summary: "Print the traces of a file sink as trees",
        }]
    }

    fn check(config: &Config) -> Vec<Problem> {
        // Building the destination reads `ca_file`, the only setting that depends on a file.
        match Destination::new(config) {
            Ok(_) => Vec::new(),
            Err(error) => {
                let hint =
                    "set the path of a PEM file, or leave it empty to use the built-in authorities";
                vec![Problem::new("ca_file", error.to_string(), hint)]
            }
        }
    }

    async fn serve(mut config: Config, process: Process) -> Result<(), BoxError> {
        let listeners = Listeners {
            main: bind("listen", config.listen)?,
            grpc: Some(bind("listen_grpc", config.listen_grpc)?),
        };
        config.limits.drain_timeout = process.common.drain_timeout;
        config.proxy = process.proxy;
        // Set by the ECS agent in every container on Fargate platform version 1.4.0 and later.
        config.metadata_uri = env::var("ECS_CONTAINER_METADATA_URI_V4").ok();
        config.memory_bytes = process.container_memory.unwrap_or(config.memory_bytes);
        Ok(serve(config, listeners, process.shutdown, process.readiness).await?)
    }

    async fn verb(
        _name: &str,
        arguments: Vec<String>,
        _config: Config,
        _process: Process,
    ) -> Result<u8, BoxError> {
        show::run(&arguments)
    }
}
