//! A running forwarder, a scripted backend, clients, and samples.

pub(crate) mod client;
pub(crate) mod samples;
pub(crate) mod sink;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chassis::http::client::ProxySettings;
use chassis::{Common, HumanDuration, Process, Readiness, Shutdown, Trigger};
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
        config: Config,
        metadata: Option<String>,
        drain_timeout: Duration,
    ) -> Self {
        let listeners = Listeners {
            http: bind().await,
            grpc: bind().await,
        };
        let (http, grpc) = (listeners.http.local_addr(), listeners.grpc.local_addr());
        let (trigger, shutdown) = Shutdown::pair();
        let readiness = Readiness::new();
        // Port 0 lets tests run in parallel.
        let mut common = Common::with_admin_port(0);

        common.drain_timeout = HumanDuration::from_millis(drain_timeout.as_millis() as u64);
        let process = Process {
            shutdown,
            readiness: readiness.clone(),
            common,
            proxy: ProxySettings::none(),
        };
        let ready = readiness.latch("listeners");
        let task = tokio::spawn(serve(config, listeners, metadata, process, ready));

        Self {
            http: http.unwrap(),
            grpc: grpc.unwrap(),
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
