//! The limits of a listener and of an upstream, used as nested settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// The limits of a listener; a component has them as its nested setting `limits`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Maximum number of open connections; a further one closes the longest idle one, or waits.
    pub max_connections: usize,
    /// Maximum number of requests in flight; further ones wait for up to a second, then get 503.
    pub max_requests: usize,
    /// Maximum number of requests in flight per client address; 0 is unlimited.
    pub max_requests_per_client: usize,
    /// How long a new connection may take to send its first byte.
    pub first_byte_timeout: HumanDuration,
    /// How long a request's header section may take, from its first byte.
    pub header_timeout: HumanDuration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: HumanDuration,
    /// How long a request may go without a byte in either direction.
    pub stall_timeout: HumanDuration,
    /// Maximum size of a request's header section, in bytes.
    pub max_header_bytes: usize,
    /// Maximum number of open connections per client address, 0 is unlimited; not a common setting.
    #[serde(skip)]
    pub max_connections_per_client: usize,
    /// How long connections may take to finish at the drain; set from `drain_timeout`, no setting.
    #[serde(skip, default = "default_drain")]
    pub drain_timeout: HumanDuration,
    /// How long a connection may stay open before it is asked to close, busy or not; not a common setting.
    #[serde(skip)]
    pub max_connection_age: Option<HumanDuration>,
    /// Whether clients may open WebSockets over HTTP/2 (RFC 8441); not a common setting.
    #[serde(skip)]
    pub websocket_over_http2: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_requests: 512,
            // Less than all, so that one client cannot block the others.
            max_requests_per_client: 384,
            first_byte_timeout: HumanDuration::from_secs(10),
            header_timeout: HumanDuration::from_secs(10),
            // Longer than that of an Application Load Balancer (60 s by default), which otherwise sends a
            // request on a connection that is being closed and answers 502 (its documentation, "HTTP 502").
            idle_timeout: HumanDuration::from_secs(75),
            stall_timeout: HumanDuration::from_secs(300),
            max_header_bytes: 32 * 1024,
            max_connections_per_client: 0,
            drain_timeout: default_drain(),
            max_connection_age: None,
            websocket_over_http2: false,
        }
    }
}

impl Limits {
    /// Lowers the limits to what a proxy can hold in a container with this much memory.
    ///
    /// Bodies stream through a proxy, so each connection and request holds a bounded number of bytes, and their
    /// number is what remains to be limited.
    pub fn within(mut self, memory_bytes: u64) -> Self {
        let free = memory_bytes.saturating_sub(PROCESS_BYTES);
        let connections = free / 3 / CONNECTION_BYTES;
        let requests = free / 3 * 2 / REQUEST_BYTES;
        let most = |limit: usize, fitting: u64, least: u64| limit.min(fitting.max(least) as usize);

        let max_requests = most(self.max_requests, requests, LEAST_REQUESTS);
        let max_connections = most(self.max_connections, connections, LEAST_CONNECTIONS);
        if (max_requests, max_connections) != (self.max_requests, self.max_connections) {
            tracing::info!(
                max_requests,
                max_connections,
                memory_bytes,
                "limits lowered to the memory of the container"
            );
        }

        self.max_requests = max_requests;
        self.max_connections = max_connections;
        // Less than all, so that one client cannot block the others; 0 is unlimited.
        self.max_requests_per_client = self.max_requests_per_client.min(max_requests / 4 * 3);
        self
    }
}

/// The limits of an upstream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamLimits {
    /// Maximum number of connections; a request that needs a further one waits, then gets 503.
    pub max_connections: usize,
    /// How long connecting may take.
    pub connect_timeout: HumanDuration,
    /// How long the upstream may take to send the header section of its response, after the last part of
    /// the request.
    pub response_timeout: HumanDuration,
    /// How long the response body may go without a byte.
    pub stall_timeout: HumanDuration,
    /// How long an unused connection is kept for the next request; less if the upstream says so in
    /// `Keep-Alive`.
    pub idle_timeout: HumanDuration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            connect_timeout: HumanDuration::from_secs(2),
            response_timeout: HumanDuration::from_secs(60),
            stall_timeout: HumanDuration::from_secs(60),
            // Shorter than the 5 s after which Node.js and uvicorn close a connection, so that this side closes
            // it; otherwise a request could race with the close.
            idle_timeout: HumanDuration::from_secs(4),
        }
    }
}

fn default_drain() -> HumanDuration {
    HumanDuration::from_secs(20)
}

/// The program, its threads, keys and caches.
const PROCESS_BYTES: u64 = 20 << 20;
/// A connection between requests, with TLS and HTTP/2.
const CONNECTION_BYTES: u64 = 16 << 10;
/// A request in flight: the HTTP/2 window of its connection and the write buffer of its upstream connection.
const REQUEST_BYTES: u64 = 96 << 10;
const LEAST_CONNECTIONS: u64 = 32;
const LEAST_REQUESTS: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowers_the_limits_to_the_memory() {
        let small = Limits::default().within(64 << 20);
        assert_eq!((small.max_connections, small.max_requests), (938, 312));
        assert_eq!(small.max_requests_per_client, 234);
        let large = Limits::default().within(256 << 20);
        assert_eq!((large.max_connections, large.max_requests), (1024, 512));
        assert_eq!(large.max_requests_per_client, 384);
        // Still a service, if a slow one.
        assert_eq!(Limits::default().within(0).max_requests, 16);
    }
}
