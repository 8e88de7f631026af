//! HTTP as a sidecar needs it: an accept loop that survives its clients, and one upstream.
//!
//! ```text
//! TcpListener ─▶ serve / serve_with ─▶ your service ─▶ Upstream::send ─▶ next hop
//!                 (server.rs)           traced(…)       (upstream.rs)
//! ```
//!
//! Bodies stream both ways. [`read_limited`] is for the places that need a whole one.

mod activity;
mod body;
mod connection;
mod gather;
mod headers;
mod joined;
mod limits;
mod pool;
mod read_out;
mod server;
mod trace;
mod upgrade;
mod upstream;
mod watched;

pub use body::{Body, ReadError, boxed, empty, full, json, problem, read_limited};
pub use headers::strip_hop_by_hop;
pub use limits::{Limits, UpstreamLimits};
pub use pool::UpstreamProtocol;
pub use server::{Opened, Peer, Protocol, serve, serve_opened, serve_with};
pub use trace::traced;
pub use upstream::{InvalidUpstream, Upstream, UpstreamError, is_loopback};
