//! The proxy as a component.

use chassis::{BoxError, Component, Port, Problem, Process};
use tokio::net::TcpListener;

use crate::{Config, Proxy, certificate, tls};

/// The `tls-proxy` component.
#[derive(Debug)]
pub struct TlsProxy;

impl Component for TlsProxy {
    const NAME: &'static str = "tls-proxy";
    const SUMMARY: &'static str = "Terminates TLS in front of the next hop";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9901;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        vec![Port {
            name: "https",
            setting: "listen",
            address: config.listen,
        }]
    }

    fn check(config: &Config) -> Vec<Problem> {
        let faults = certificate::load(config, &tls::provider()).err();
        let faults = faults.unwrap_or_default().into_iter();
        faults.map(Problem::from).collect()
    }

    async fn serve(mut config: Config, process: Process) -> Result<(), BoxError> {
        let certificate = process.readiness.latch("certificate");
        let upstream = process.readiness.latch("upstream");
        config.limits.drain = process.common.drain_limit;
        let proxy = Proxy::new(&config)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| format!("`listen` cannot be bound to {}: {error}", config.listen))?;
        tracing::info!(address = %listener.local_addr()?, "listening");
        certificate.release();
        let seeing_upstream = async {
            tokio::select! {
                () = proxy.await_upstream(upstream) => {}
                () = process.shutdown.requested() => {}
            }
        };
        let serving = proxy.clone().serve(listener, process.shutdown.clone());
        let (served, ()) = tokio::join!(serving, seeing_upstream);
        Ok(served?)
    }
}
