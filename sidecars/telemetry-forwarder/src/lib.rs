//! Receives OTLP from the containers of a task, batches it, and sends it on.
//!
//! Telemetry is passed through, not decoded: a request is checked against tables of the OTLP
//! messages, its resources get the attributes they lack, and the same bytes are queued, joined with
//! others and sent.
//!
//! ```text
//! OTLP/HTTP ┐            ┌ validate ─ enrich ┐            ┌ worker ─▶ http(s)://…/v1/traces
//! OTLP/gRPC ┴─ receive ──┴──── intake ───────┴── queue ───┴ worker ─▶ file:…/traces.jsonl
//! ```
//!
//! Where to start reading: `forwarder.rs` for the life of the process and the order in which it
//! stops, [`otlp`] for what is done with the bytes, `receive/` and `send/` for the two sides,
//! `queue.rs` for what is between them.

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

pub use component::TelemetryForwarder;
pub use config::{Compression, Config, Endpoint};
pub use forwarder::{Error, Listeners, serve};
pub use send::TlsError;
