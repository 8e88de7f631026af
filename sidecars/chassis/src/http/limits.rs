//! The limits of a listener and of an upstream, used as nested settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// The limits of a listener; a component has them as its nested setting `limits`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Maximum number of open connections; further ones wait in the kernel's accept queue.
    pub max_connections: usize,
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
    /// How long connections may take to finish at the drain; set from `drain_timeout`, no setting.
    #[serde(skip, default = "default_drain")]
    pub drain_timeout: HumanDuration,
    /// How long a connection may stay open before it is asked to close, busy or not; not a common setting.
    #[serde(skip)]
    pub max_connection_age: Option<HumanDuration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            first_byte_timeout: HumanDuration::from_secs(10),
            header_timeout: HumanDuration::from_secs(10),
            idle_timeout: HumanDuration::from_secs(60),
            stall_timeout: HumanDuration::from_secs(300),
            max_header_bytes: 32 * 1024,
            drain_timeout: default_drain(),
            max_connection_age: None,
        }
    }
}

/// The limits of an upstream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamLimits {
    /// How long connecting may take.
    pub connect_timeout: HumanDuration,
    /// How long the upstream may take to send the header section of its response.
    pub response_timeout: HumanDuration,
    /// How long the response body may go without a byte.
    pub stall_timeout: HumanDuration,
    /// How long an unused connection is kept for the next request.
    pub idle_timeout: HumanDuration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connect_timeout: HumanDuration::from_secs(2),
            response_timeout: HumanDuration::from_secs(60),
            stall_timeout: HumanDuration::from_secs(60),
            // Shorter than the listener's idle timeout, so that the client and not the server closes an idle
            // connection; otherwise a request could race with the close.
            idle_timeout: HumanDuration::from_secs(30),
        }
    }
}

fn default_drain() -> HumanDuration {
    HumanDuration::from_secs(20)
}
