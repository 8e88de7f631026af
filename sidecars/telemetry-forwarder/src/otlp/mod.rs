//! OTLP as data: pure functions over bytes, no clock, no network.
//!
//! A request is never decoded into structs. It is checked against the [`tables`], its resources get
//! the attributes they lack, and the same bytes travel on; what this program does not know passes
//! through.

pub mod enrich;
pub mod from_json;
pub mod halve;
mod signal;
pub mod status;
pub mod tables;
pub mod to_json;
pub mod validate;
pub mod wire;

#[cfg(test)]
mod samples;

pub use signal::Signal;
