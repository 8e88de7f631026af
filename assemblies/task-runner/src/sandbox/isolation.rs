//! Which namespaces a task has for itself.

use std::net::{Ipv4Addr, SocketAddrV4};

/// The address of the task metadata endpoint and the credentials endpoint inside of a task.
pub const METADATA_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 170, 2), 80);

/// The namespaces a task has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isolation {
    /// It has its own network; otherwise it shares the host's.
    pub network: bool,
    /// Its containers share one PID namespace: `pidMode: task`.
    pub shared_pid_namespace: bool,
}
