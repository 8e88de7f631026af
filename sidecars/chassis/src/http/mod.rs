//! HTTP for sidecars: a server that survives its clients' errors, and a client for one upstream.
//!
//! ```text
//! TcpListener ─▶ serve / serve_with ─▶ your service ─▶ Upstream::send ─▶ next hop
//!                 (server.rs)           trace_request(…)       (upstream.rs)
//! ```
//!
//! Bodies stream both ways; [`read_limited`] reads a whole one, [`BodyPool`] those of all requests within a
//! share of the memory. Servers outside the task are reached with [`client`].

mod activity;
mod answer;
mod body;
pub mod client;
mod connection;
mod drain_on_drop;
mod extended_connect;
mod graceful;
mod headers;
mod http2_pool;
mod idle;
mod limits;
mod metered_io;
mod open_connections;
mod plain_client;
mod pool;
mod receive;
mod request_handler;
mod request_slots;
mod server;
mod stream_executor;
mod timeout_body;
mod trace;
mod tracked_body;
mod upgrade;
mod upstream;
mod upstream_body;
mod vectored_join;
mod write_coalescer;

pub use body::{Body, ReadError, box_body, empty, full, json, problem, read_limited};
pub use headers::strip_hop_by_hop;
pub use limits::{Limits, UpstreamLimits};
pub(crate) use plain_client::PlainClient;
pub use pool::UpstreamProtocol;
pub use receive::{BodyLimits, BodyPool, BodyReceiver, HeldMemory, ReceiveError, ReceivedBody};
pub use server::{OpenConnection, Peer, Protocol, serve, serve_connections, serve_with};
pub use trace::trace_request;
pub use upstream::{ParseUpstreamError, Upstream, UpstreamError, is_loopback};
