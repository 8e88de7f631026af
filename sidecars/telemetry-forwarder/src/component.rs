//! The forwarder as a component of a task.

use std::env;

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
            summary: "Prints the traces of a file sink as trees",
        }]
    }

    fn check(config: &Config) -> Vec<Problem> {
        match Destination::new(config) {
            Ok(_) => Vec::new(),
            Err(fault) => {
                let hint =
                    "name a PEM file of certificates, or leave it empty for the built-in ones";
                vec![Problem::new("ca_file", fault.to_string(), hint)]
            }
        }
    }

    async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
        let ready = process.readiness.latch("listeners and resource attributes");
        let listeners = Listeners {
            http: bind("listen", config.listen).await?,
            grpc: bind("listen_grpc", config.listen_grpc).await?,
        };
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
        .map_err(|error| format!("`{setting}` cannot be bound to {address}: {error}").into())
}
