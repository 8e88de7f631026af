//! Implements the toolkit's component interface: ports, verbs, checks, serving.

use std::env;

use chassis::http::client::ProxySettings;
use chassis::{BoxError, Component, Port, Problem, Process, Verb};
use tokio::net::TcpListener;

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
        match Destination::new(config, ProxySettings::none()) {
            Ok(_) => Vec::new(),
            Err(error) => {
                let hint =
                    "set the path of a PEM file, or leave it empty to use the built-in authorities";
                vec![Problem::new("ca_file", error.to_string(), hint)]
            }
        }
    }

    async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
        // `/ready` returns 503 until this latch is released, so no sender is let in before the
        // resource attributes are known.
        let ready = process.readiness.latch("listeners and resource attributes");
        let listeners = Listeners {
            http: bind("listen", config.listen).await?,
            grpc: bind("listen_grpc", config.listen_grpc).await?,
        };
        // Set by the ECS agent in every container on Fargate platform version 1.4.0 and later.
        let metadata = env::var("ECS_CONTAINER_METADATA_URI_V4").ok();
        Ok(serve(config, listeners, metadata, process, ready).await?)
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

async fn bind(setting: &str, address: std::net::SocketAddr) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot bind `{setting}` to {address}: {error}").into())
}
