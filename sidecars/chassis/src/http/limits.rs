//! The limits of a listener and of an upstream, as nested settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::HumanDuration;

/// The limits of one listener; a component has them as its nested setting `limits`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a new connection may stay silent.
    pub first_byte_timeout: HumanDuration,
    /// How long a request's head may take from its first byte.
    pub header_timeout: HumanDuration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: HumanDuration,
    /// How long a request may go without a byte in either direction.
    pub stall_timeout: HumanDuration,
    /// Largest head of a request, in bytes.
    pub max_header_bytes: usize,
    /// How long connections may take to finish at the drain; set from `drain_timeout`, no setting.
    #[serde(skip, default = "default_drain")]
    pub drain_timeout: HumanDuration,
    /// How long a connection may live before it is asked to end, busy or not; no setting of all components.
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

/// The limits of one upstream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamLimits {
    /// How long connecting may take.
    pub connect_timeout: HumanDuration,
    /// How long the head of the answer may take once the request is on its way.
    pub response_timeout: HumanDuration,
    /// How long the body of the answer may go without a byte.
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
            // Shorter than the listener's, so that we and not the upstream close an idle connection.
            idle_timeout: HumanDuration::from_secs(30),
        }
    }
}

fn default_drain() -> HumanDuration {
    HumanDuration::from_secs(20)
}
