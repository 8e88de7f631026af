//! What a container can ask of its surroundings: the task metadata endpoint and its neighbours.
//!
//! ```text
//! RunPlan ──▶ TaskView ◀── follow ── RunnerEvent
//!                │
//! container ──▶ serve ──▶ shapes: /v4, /v3, /v2/metadata      stats: system
//!                  ├────▶ protection: /api/ID/task-protection/v1/state
//!                  ├────▶ faults: /api/ID/fault/v1/…, done by the sandbox
//!                  └────▶ credentials: /v2/credentials/ID
//! ```
//!
//! [`serve`] takes the listener and never binds one. [`variables`] are what a container must be told to
//! find it. Shapes are those of the ECS developer guide, "Task metadata endpoint version 4".

mod calendar;
mod credentials;
mod faults;
mod limit;
mod protection;
mod server;
mod shapes;
mod stats;
mod view;

use std::net::SocketAddr;

pub use calendar::rfc3339;
pub use credentials::{Asked, Credentials, Source};
pub use server::{Endpoint, Origin, serve};
pub use view::{ACCOUNT, ContainerView, TaskView, follow};

/// What tells the AWS SDKs where credentials are: a path where the endpoint has the address that they know,
/// which it has in a network of the task's own.
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

/// What a container is told of the endpoint that listens there.
pub fn variables(address: SocketAddr, container: &str) -> Vec<(&'static str, String)> {
    // As on Fargate, port 80 goes without saying.
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
