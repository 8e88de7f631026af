//! Receives OTLP from the containers of a task, batches it, and sends it on.
//!
//! Telemetry is passed through, not decoded. A request is checked against tables of the OTLP
//! messages, missing attributes are added to its resources, and the same bytes are queued, batched
//! and sent.
//!
//! ```text
//! OTLP/HTTP ┐            ┌ validate ─ enrich ┐            ┌ worker ─▶ http(s)://…/v1/traces
//! OTLP/gRPC ┴─ receive ──┴──── intake ───────┴── queue ───┴ worker ─▶ file:…/traces.jsonl
//! ```
//!
//! Where to start reading: `forwarder.rs` starts and stops everything in order, [`otlp`] processes
//! the bytes, `receive/` and `send/` are the two sides, and `queue.rs` is between them.

mod component;
mod config;
mod counters;
mod ecs;
mod enrichment;
mod forwarder;
pub mod otlp;
mod queue;
mod receive;
mod send;
mod show;

pub use chassis::{Readiness, Shutdown, Trigger};
pub use component::TelemetryForwarder;
pub use config::{Compression, Config, Endpoint};
pub use forwarder::{Error, Listeners, serve};
pub use send::EndpointError;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
