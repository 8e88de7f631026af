//! The task metadata endpoint, and the other endpoints of the ECS agent.
//!
//! ```text
//! RunPlan ──▶ TaskView ◀── apply_event ── RunnerEvent
//!                │
//! container ──▶ serve ──▶ documents: /v4, /v3, /v2/metadata      stats: system
//!                  ├────▶ protection: /api/ID/task-protection/v1/state
//!                  ├────▶ faults: /api/ID/fault/v1/…, applied by the sandbox
//!                  └────▶ credentials: /v2/credentials/ID
//! ```
//!
//! [`serve`] takes the listener and never binds one. [`variables`] returns the environment variables with which a
//! container finds it. The documents follow the ECS developer guide, "Task metadata endpoint version 4".

mod credentials;
mod documents;
mod faults;
mod protection;
mod rate_limit;
mod server;
mod stats;
mod timestamp;
mod view;

use std::net::SocketAddr;

pub use credentials::{Credentials, CredentialsFuture, CredentialsSource};
pub use protection::{read_protection, write_protection};
pub use server::{Endpoint, Origin, serve};
pub use timestamp::rfc3339;
pub use view::{ACCOUNT, ContainerView, TaskView, apply_event};

/// Returns the variable with which the AWS SDKs find the credentials.
///
/// It is a path if the endpoint has its usual address, which it has in a task's own network, or else a full URI.
pub fn credentials_variable(
    address: SocketAddr,
    own_network: bool,
    task: &str,
) -> (&'static str, String) {
    let path = format!("/v2/credentials/{task}");
    if own_network {
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path)
    } else {
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{address}{path}"),
        )
    }
}

/// Returns the variables with which a container finds the endpoint.
pub fn variables(address: SocketAddr, container: &str) -> Vec<(&'static str, String)> {
    // As on Fargate, the default port is left out.
    let url = match address.port() {
        80 => format!("http://{}", address.ip()),
        _ => format!("http://{address}"),
    };

    vec![
        (
            "ECS_CONTAINER_METADATA_URI_V4",
            format!("{url}/v4/{container}"),
        ),
        (
            "ECS_CONTAINER_METADATA_URI",
            format!("{url}/v3/{container}"),
        ),
        ("ECS_AGENT_URI", format!("{url}/api/{container}")),
    ]
}
