//! The open connections, counted in total and per client address.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use chassis::telemetry;
use opentelemetry::metrics::Gauge;

/// Counts the open connections.
pub(super) struct Connections {
    /// 0 is unlimited.
    max_per_client: usize,
    per_client: Mutex<HashMap<IpAddr, usize>>,
    total: AtomicUsize,
    gauge: Gauge<f64>,
}

impl Connections {
    pub(super) fn new(max_per_client: usize) -> Self {
        Self {
            max_per_client,
            per_client: Mutex::default(),
            total: AtomicUsize::new(0),
            gauge: telemetry::gauge(
                "tls_proxy.connections",
                "{connection}",
                "Open connections, including those in a handshake.",
            ),
        }
    }

    /// Counts a connection of this client; fails if the client has as many as it may have.
    pub(super) fn register(self: &Arc<Self>, client: IpAddr) -> io::Result<ConnectionGuard> {
        let mut per_client = self
            .per_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = per_client.entry(client).or_default();
        if self.max_per_client > 0 && *count >= self.max_per_client {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("`max_connections_per_client` reached by {client}"),
            ));
        }

        *count += 1;
        drop(per_client);
        let total = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        self.gauge.record(total as f64, &[]);

        Ok(ConnectionGuard {
            connections: Arc::clone(self),
            client,
        })
    }
}

/// Counts a connection for its client until dropped.
pub(crate) struct ConnectionGuard {
    connections: Arc<Connections>,
    client: IpAddr,
}

#[cfg(test)]
impl ConnectionGuard {
    /// Creates a guard without a running proxy.
    pub(crate) fn for_test() -> Self {
        let connections = Arc::new(Connections::new(0));
        connections.register([127, 0, 0, 1].into()).unwrap()
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let before = self.connections.total.fetch_sub(1, Ordering::Relaxed);
        let total = before.saturating_sub(1) as f64;
        self.connections.gauge.record(total, &[]);

        let mut per_client = self
            .connections
            .per_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_client.get_mut(&self.client) {
            // Entries without connections are removed, so that the map is bounded by the open connections.
            *count -= 1;
            if *count == 0 {
                per_client.remove(&self.client);
            }
        }
    }
}
