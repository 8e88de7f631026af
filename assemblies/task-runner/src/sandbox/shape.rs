//! What a task can have for itself.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Where the task metadata endpoint and the credentials are, inside of a task.
pub const METADATA: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 170, 2), 80);

/// What a task has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// A network of its own; otherwise it shares this machine's.
    pub network: bool,
    /// Its containers see one another's processes: `pidMode: task`.
    pub shared_processes: bool,
}
