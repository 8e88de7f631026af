//! Who takes part, and the listeners that lead to them in turn.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener as Bound};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use task_runner::sandbox::{Border, Forward, Traffic, carry};
use tokio::net::{TcpListener, TcpStream};

use crate::talk::Talk;

/// Those who take part, by number, with their ports.
#[derive(Debug, Default)]
pub(super) struct Ring {
    members: Mutex<BTreeMap<u8, BTreeMap<u16, u16>>>,
    next: AtomicUsize,
}

impl Ring {
    /// From now on it takes part.
    pub(super) fn join(&self, number: u8, ports: BTreeMap<u16, u16>) {
        self.lock().insert(number, ports);
    }

    /// It takes part no more.
    pub(super) fn leave(&self, number: u8) {
        self.lock().remove(&number);
    }

    /// Where a port is, whoever's turn it is first.
    fn turn(&self, inside: u16) -> Vec<u16> {
        let members = self.lock();
        let mut all: Vec<u16> = members
            .values()
            .filter_map(|ports| ports.get(&inside).copied())
            .collect();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let first = first.checked_rem(all.len()).unwrap_or(0);
        all.rotate_left(first);
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u8, BTreeMap<u16, u16>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each connection goes to the next task, or to the one after it where that one does not take it.
pub(super) fn listen(
    ports: Vec<(Bound, u16)>,
    ring: &Arc<Ring>,
    talk: &Talk,
) -> io::Result<Vec<Forward>> {
    let mut all = Vec::new();
    for (listener, inside) in ports {
        listener.set_nonblocking(true)?;
        let outside = listener.local_addr()?;
        talk.say(&format!("port {inside} of the tasks is {outside} here"));

        let border = Border {
            traffic: Traffic::Ingress,
            port: inside,
            faults: Arc::default(),
        };
        let ring = Arc::clone(ring);
        let connect = move || {
            let turn = ring.turn(inside);
            async move {
                let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
                for port in turn {
                    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                        Ok(called) => return Ok(called),
                        Err(why) => last = why,
                    }
                }
                Err(last)
            }
        };
        all.push(carry(TcpListener::from_std(listener)?, border, connect));
    }

    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_round_and_leave_out_who_is_gone() {
        let ring = Ring::default();
        assert!(ring.turn(80).is_empty());
        for (number, port) in [(1, 1001), (2, 1002), (3, 1003)] {
            ring.join(number, [(80, port)].into());
        }

        let first = |_| ring.turn(80)[0];
        let mut seen: Vec<u16> = (0..3).map(first).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1001, 1002, 1003]);
        ring.leave(2);
        assert!((0..4).all(|_| !ring.turn(80).contains(&1002)));
        assert!(ring.turn(443).is_empty());
    }
}
