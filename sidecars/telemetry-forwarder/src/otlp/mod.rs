//! OTLP as data: pure functions over bytes, without clock or network.
//!
//! A request is never decoded into structs. It is checked against the [`tables`], missing attributes
//! are added to its resources, and its bytes are passed on; unknown fields pass through unchanged.

pub mod enrich;
pub mod from_json;
pub mod halve;
pub mod prune;
mod signal;
pub mod status;
pub mod tables;
pub mod to_json;
pub mod validate;
pub mod wire;

#[cfg(test)]
mod samples;

pub use signal::Signal;
