//! Receives whole request bodies within a share of the container's memory.
//!
//! ```text
//! body ─▶ BodyReceiver: timeout, minimum rate ─▶ BodyPool: memory of all, share of a client ─▶ ReceivedBody
//! ```
//!
//! Until a body is complete it holds only its bytes: no worker and no place in a queue. When there is no memory
//! left, the slowest body of the client that holds most makes room for another one.

mod error;
mod pool;
mod receiver;

pub use error::ReceiveError;
pub use pool::{BodyLimits, BodyPool, HeldMemory};
pub use receiver::{BodyReceiver, ReceivedBody};
