//! The active replicas, and the listeners that distribute connections among them.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener as Bound};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use task_runner::sandbox::{Boundary, Forward, Traffic, forward};
use tokio::net::{TcpListener, TcpStream};

use crate::Messages;

/// The active replicas by number, each with its published ports.
#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    active: Mutex<BTreeMap<u8, BTreeMap<u16, u16>>>,
    next: AtomicUsize,
}

impl RoundRobin {
    /// Adds a replica.
    pub(super) fn join(&self, number: u8, ports: BTreeMap<u16, u16>) {
        self.lock().insert(number, ports);
    }

    /// Removes a replica.
    pub(super) fn leave(&self, number: u8) {
        self.lock().remove(&number);
    }

    /// Returns the host ports for a port of the task, in the order in which to try them.
    fn next_order(&self, container_port: u16) -> Vec<u16> {
        let active = self.lock();
        let mut all: Vec<u16> = active
            .values()
            .filter_map(|ports| ports.get(&container_port).copied())
            .collect();
        // Wraps around after usize::MAX connections, which changes the order once.
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let first = first.checked_rem(all.len()).unwrap_or(0);
        all.rotate_left(first);
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u8, BTreeMap<u16, u16>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens on the service's ports. Each connection goes to the next replica, or to the one after it if that one
/// does not accept.
pub(super) fn listen(
    ports: Vec<(Bound, u16)>,
    round_robin: &Arc<RoundRobin>,
    ui: &dyn Messages,
) -> io::Result<Vec<Forward>> {
    let mut all = Vec::new();
    for (listener, container_port) in ports {
        listener.set_nonblocking(true)?;
        let host_address = listener.local_addr()?;
        ui.message(&format!(
            "port {container_port} is published on {host_address}"
        ));

        let border = Boundary {
            traffic: Traffic::Ingress,
            port: container_port,
            faults: Arc::default(),
        };
        let round_robin = Arc::clone(round_robin);
        let connect = move || {
            let order = round_robin.next_order(container_port);
            async move {
                // Without an active replica the connection is refused, as by a load balancer without targets.
                let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
                for port in order {
                    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                        Ok(stream) => return Ok(stream),
                        Err(why) => last = why,
                    }
                }
                Err(last)
            }
        };
        all.push(forward(TcpListener::from_std(listener)?, border, connect));
    }

    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotates_among_active_replicas() {
        let round_robin = RoundRobin::default();
        assert!(round_robin.next_order(80).is_empty());
        for (number, port) in [(1, 1001), (2, 1002), (3, 1003)] {
            round_robin.join(number, [(80, port)].into());
        }

        // Each replica is first once, whichever is the first.
        let first = |_| round_robin.next_order(80)[0];
        let mut ports: Vec<u16> = (0..3).map(first).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1001, 1002, 1003]);
        round_robin.leave(2);
        assert!((0..4).all(|_| !round_robin.next_order(80).contains(&1002)));
        assert!(round_robin.next_order(443).is_empty());
    }
}
