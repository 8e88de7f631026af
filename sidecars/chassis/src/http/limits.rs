//! The limits of a listener and of an upstream, as nested settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Period;

/// The limits of one listener; a component has them as its nested setting `limits`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a new connection may stay silent.
    pub first_byte: Period,
    /// How long a request's head may take from its first byte.
    pub header: Period,
    /// How long a connection may stay open between requests.
    pub idle: Period,
    /// How long a request may go without a byte in either direction.
    pub stall: Period,
    /// Largest head of a request, in bytes.
    pub header_bytes: usize,
    /// How long connections may take to finish at the drain; set from `drain_limit`, no setting.
    #[serde(skip, default = "default_drain")]
    pub drain: Period,
    /// How long a connection may live before it is asked to end, busy or not; no setting of all components.
    #[serde(skip)]
    pub lifetime: Option<Period>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            first_byte: Period::from_secs(10),
            header: Period::from_secs(10),
            idle: Period::from_secs(60),
            stall: Period::from_secs(300),
            header_bytes: 32 * 1024,
            drain: default_drain(),
            lifetime: None,
        }
    }
}

/// The limits of one upstream.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamLimits {
    /// How long connecting may take.
    pub connect: Period,
    /// How long the head of the answer may take once the request is on its way.
    pub response: Period,
    /// How long the body of the answer may go without a byte.
    pub stall: Period,
    /// How long an unused connection is kept for the next request.
    pub idle: Period,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connect: Period::from_secs(2),
            response: Period::from_secs(60),
            stall: Period::from_secs(60),
            // Shorter than the listener's, so that we and not the upstream close an idle connection.
            idle: Period::from_secs(30),
        }
    }
}

fn default_drain() -> Period {
    Period::from_secs(20)
}
