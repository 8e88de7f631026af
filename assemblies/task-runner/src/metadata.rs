//! What a container can ask of its surroundings: the task metadata endpoint and its neighbours.
//!
//! ```text
//! RunPlan ──▶ TaskView ◀── follow ── RunnerEvent
//!                │
//! container ──▶ serve ──▶ shapes: /v4, /v3, /v2/metadata      stats: /proc
//!                  ├────▶ protection: /api/ID/task-protection/v1/state
//!                  └────▶ refusals: credentials and faults, which there are none of
//! ```
//!
//! [`serve`] takes the listener and never binds one. [`variables`] are what a container must be told to
//! find it. Shapes are those of the ECS developer guide, "Task metadata endpoint version 4".

mod calendar;
mod limit;
mod protection;
mod server;
mod shapes;
mod stats;
mod view;

use std::net::SocketAddr;

pub use server::{Endpoint, Origin, serve};
pub use view::{ContainerView, TaskView, follow};

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
