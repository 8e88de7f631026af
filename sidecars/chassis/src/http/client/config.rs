//! The configuration of a client.

use std::time::Duration;

use http::HeaderValue;

use super::{AddressPolicy, ProxySettings, TrustStore};

/// The configuration of a [`Client`](super::Client).
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The certificate authorities to trust.
    pub trust: TrustStore,
    /// The addresses that the client may connect to.
    pub addresses: AddressPolicy,
    /// The servers that may be reached without TLS.
    pub plain_http: PlainHttp,
    /// The proxies to use.
    pub proxy: ProxySettings,
    /// The timeouts and sizes.
    pub limits: ClientLimits,
    /// The `User-Agent` of requests without one.
    pub user_agent: Option<HeaderValue>,
}

impl Default for ClientConfig {
    /// Any address, with and without TLS, without a proxy.
    fn default() -> Self {
        Self {
            trust: TrustStore::PublicRoots,
            addresses: AddressPolicy::Any,
            plain_http: PlainHttp::Anywhere,
            proxy: ProxySettings::none(),
            limits: ClientLimits::default(),
            user_agent: None,
        }
    }
}

/// The servers that may be reached without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only this host: its loopback is not reachable from outside.
    LoopbackOnly,
    /// Every server; the network can then replace the response.
    Anywhere,
}

/// The limits of a [`Client`](super::Client).
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// How long connecting may take: name resolution, TCP, the proxy and the TLS handshake.
    pub connect_timeout: Duration,
    /// How long the server may take to send the header section of its response.
    pub response_timeout: Duration,
    /// How long the response body may go without a byte.
    pub stall_timeout: Duration,
    /// How long an unused connection is kept for the next request.
    pub idle_timeout: Duration,
    /// Maximum number of unused connections.
    pub max_idle_connections: usize,
    /// Maximum size of a response that is read whole, in bytes; a caller of
    /// [`send`](super::Client::send) limits the body itself.
    pub max_response_bytes: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            // Shorter than the idle timeout of common servers and load balancers, 60 s and more: the
            // client closes the connection, so that a request does not race with the server's close.
            idle_timeout: Duration::from_secs(30),
            max_idle_connections: 16,
            max_response_bytes: 4 << 20,
        }
    }
}
