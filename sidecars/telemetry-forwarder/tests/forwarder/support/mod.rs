//! A running forwarder, a scripted backend, clients, and samples.

pub(crate) mod client;
pub(crate) mod samples;
pub(crate) mod sink;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chassis::{HumanDuration, Readiness, Shutdown, Trigger};
use telemetry_forwarder::{Config, Error, Listeners, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A forwarder that runs in the test process.
pub(crate) struct TestForwarder {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) readiness: Readiness,
    trigger: Trigger,
    task: JoinHandle<Result<(), Error>>,
}

impl TestForwarder {
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, None, Duration::from_secs(20)).await
    }

    pub(crate) async fn start_with(
        mut config: Config,
        metadata_uri: Option<String>,
        drain_timeout: Duration,
    ) -> Self {
        let (main, grpc) = (bind().await, bind().await);
        let (http, grpc_address) = (main.local_addr(), grpc.local_addr());
        let listeners = Listeners {
            main,
            grpc: Some(grpc),
        };
        let (trigger, shutdown) = Shutdown::pair();
        let readiness = Readiness::new();

        config.limits.drain_timeout = HumanDuration::from_millis(drain_timeout.as_millis() as u64);
        config.metadata_uri = metadata_uri;
        let task = tokio::spawn(serve(config, listeners, shutdown, readiness.clone()));

        Self {
            http: http.unwrap(),
            grpc: grpc_address.unwrap(),
            readiness,
            trigger,
            task,
        }
    }

    /// Stops the forwarder, waits for it to end, and returns how long that took.
    pub(crate) async fn stop(self) -> Duration {
        let start = Instant::now();
        self.trigger.fire();
        self.task.await.unwrap().unwrap();
        start.elapsed()
    }
}

/// Returns settings that send to `endpoint` almost at once.
pub(crate) fn config(endpoint: impl Into<String>) -> Config {
    Config {
        endpoint: endpoint.into(),
        batch_timeout: HumanDuration::from_millis(20),
        ..Config::default()
    }
}

/// Waits until a condition holds, and fails the test after `LIMIT`.
pub(crate) async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn bind() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

const LIMIT: Duration = Duration::from_secs(15);
