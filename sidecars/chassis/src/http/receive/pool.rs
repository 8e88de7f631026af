//! The memory of all bodies, and who holds it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Extensions;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{BodyReceiver, ReceiveError};
use crate::{
    http::{Peer, request_slots::record_refused},
    memory::{MemoryBudget, Reservation},
};

/// The limits of request bodies that a component receives whole.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// How long one body may take to arrive.
    pub timeout: Duration,
    /// The minimum rate at which a body must arrive, in bytes per second; 0 is none.
    pub min_bytes_per_second: usize,
}

/// The memory for the bodies of all requests; clones share it.
#[derive(Debug, Clone)]
pub struct BodyPool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: BodyLimits,
    budget: MemoryBudget,
    bodies: Mutex<Bodies>,
    /// Wakes those that wait for memory.
    released: Notify,
}

#[derive(Debug, Default)]
struct Bodies {
    next: u64,
    held: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    client: Option<IpAddr>,
    since: Instant,
    bytes: usize,
    /// Ends the body if it is still being received.
    evict: Option<Arc<Notify>>,
}

/// The memory that one body holds, until dropped.
#[derive(Debug)]
pub struct HeldMemory {
    pool: BodyPool,
    id: u64,
    reservation: Reservation,
    evicted: Arc<Notify>,
}

/// Whose memory has no room.
#[derive(Debug, Clone, Copy)]
enum Full {
    All,
    Client(IpAddr),
}

impl BodyPool {
    /// Creates a pool; `memory` is for all bodies, from their first byte until they are dropped.
    pub fn new(limits: BodyLimits, memory: MemoryBudget) -> Self {
        Self(Arc::new(Shared {
            limits,
            budget: memory,
            bodies: Mutex::default(),
            released: Notify::new(),
        }))
    }

    /// Returns the memory that the bodies of one client may hold, in bytes, and so the largest possible body.
    ///
    /// It is less than all, so that one client cannot block the others.
    pub fn client_share(&self) -> usize {
        self.0.budget.limit() / 4 * 3
    }

    /// Starts to receive a body for the client of these extensions.
    pub fn receive(&self, extensions: &Extensions) -> BodyReceiver {
        let client = extensions.get::<Peer>();
        let client = client.map(|peer| peer.address.ip().to_canonical());
        BodyReceiver::new(self.hold(client), self.0.limits)
    }

    fn hold(&self, client: Option<IpAddr>) -> HeldMemory {
        let evicted = Arc::new(Notify::new());
        let entry = Entry {
            client,
            since: Instant::now(),
            bytes: 0,
            evict: Some(Arc::clone(&evicted)),
        };

        let mut bodies = self.bodies();
        let id = bodies.next;
        bodies.next += 1;
        bodies.held.insert(id, entry);
        drop(bodies);

        HeldMemory {
            pool: self.clone(),
            id,
            reservation: self.0.budget.empty(),
            evicted,
        }
    }

    fn bodies(&self) -> MutexGuard<'_, Bodies> {
        // Every statement leaves the map consistent, so a poisoned lock is safe to use.
        self.0.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bodies {
    fn bytes_of(&self, client: IpAddr) -> usize {
        let entries = self.held.values();
        let of_client = entries.filter(|entry| entry.client == Some(client));
        of_client.map(|entry| entry.bytes).sum()
    }

    /// Ends the slowest body of the client that holds most, except that of `newcomer`.
    fn evict(&mut self, newcomer: u64, full: Full) {
        let mut held: HashMap<Option<IpAddr>, usize> = HashMap::new();
        for entry in self.held.values() {
            *held.entry(entry.client).or_default() += entry.bytes;
        }

        let candidates = self.held.iter_mut().filter(|(id, entry)| {
            let fits = match full {
                Full::All => true,
                Full::Client(client) => entry.client == Some(client),
            };
            // A body that has just begun has had no time to show its rate, and one without bytes frees nothing.
            let is_slow = entry.since.elapsed() >= MIN_AGE && entry.bytes > 0;
            **id != newcomer && fits && is_slow && entry.evict.is_some()
        });
        let slowest = candidates.max_by_key(|(_, entry)| {
            let rate = entry.bytes as u128 / entry.since.elapsed().as_millis().max(1);
            (held[&entry.client], std::cmp::Reverse(rate))
        });

        if let Some(evict) = slowest.and_then(|(_, entry)| entry.evict.take()) {
            evict.notify_one();
        }
    }
}

impl HeldMemory {
    /// Reserves this many more bytes, for which slower bodies may have to make room.
    pub async fn grow(&mut self, bytes: usize) -> Result<(), ReceiveError> {
        let limit = self.pool.client_share();
        if self.reservation.bytes().saturating_add(bytes) > limit {
            // There will never be room for it.
            return Err(ReceiveError::TooLarge { limit });
        }

        let deadline = Instant::now() + MAX_WAIT;
        let pool = self.pool.clone();

        loop {
            // Created before the attempt, so that a release in between is not lost.
            let released = pool.0.released.notified();
            let Err(full) = self.reserve(bytes) else {
                return Ok(());
            };

            pool.bodies().evict(self.id, full);
            let waiting = timeout_at(deadline, released);
            let is_late = tokio::select! {
                waited = waiting => waited.is_err(),
                () = self.evicted.notified() => true,
            };
            if is_late {
                record_refused("body_memory");
                return Err(ReceiveError::Busy);
            }
        }
    }

    /// Reserves this many more bytes if they are free.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        self.reserve(bytes).is_ok()
    }

    /// Returns the memory of what is no longer used.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.reservation.shrink_to(bytes);
        if let Some(entry) = self.pool.bodies().held.get_mut(&self.id) {
            entry.bytes = self.reservation.bytes();
        }
        self.pool.0.released.notify_waiters();
    }

    /// Returns the reservation of what outlives the request; it no longer counts for the client.
    pub fn into_reservation(mut self) -> Reservation {
        std::mem::replace(&mut self.reservation, self.pool.0.budget.empty())
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Full> {
        let mut bodies = self.pool.bodies();
        let client = bodies.held.get(&self.id).and_then(|entry| entry.client);
        if let Some(client) = client
            && bodies.bytes_of(client).saturating_add(bytes) > self.pool.client_share()
        {
            return Err(Full::Client(client));
        }

        if !self.reservation.try_grow(bytes) {
            return Err(Full::All);
        }
        if let Some(entry) = bodies.held.get_mut(&self.id) {
            entry.bytes = self.reservation.bytes();
        }
        Ok(())
    }

    /// Marks the body as complete: from now on it does not make room for others.
    pub(super) fn complete(&mut self) {
        if let Some(entry) = self.pool.bodies().held.get_mut(&self.id) {
            entry.evict = None;
        }
    }

    /// Resolves when the body must make room for others.
    pub(super) async fn wait_for_eviction(&self) {
        self.evicted.notified().await;
        record_refused("body_memory");
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.pool.bodies().held.remove(&self.id);
        // Returned before the others look for memory again.
        self.reservation = self.pool.0.budget.empty();
        self.pool.0.released.notify_waiters();
    }
}

/// How long a body waits for memory; after that the client should try again instead.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// A normal body has arrived by then.
const MIN_AGE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn pool(kibibytes: usize) -> BodyPool {
        let limits = BodyLimits {
            timeout: Duration::from_secs(30),
            min_bytes_per_second: 0,
        };
        BodyPool::new(limits, MemoryBudget::new(kibibytes << 10))
    }

    fn hold(pool: &BodyPool, client: u8) -> HeldMemory {
        pool.hold(Some([10, 0, 0, client].into()))
    }

    #[tokio::test(start_paused = true)]
    async fn limits_the_memory_of_one_client_and_of_all() {
        let pool = pool(4);
        let mut first = hold(&pool, 1);
        let alone = first.grow((3 << 10) + 1).await;
        assert!(matches!(alone, Err(ReceiveError::TooLarge { .. })));
        first.grow(3 << 10).await.unwrap();
        let mut second = hold(&pool, 1);
        assert!(matches!(second.grow(1).await, Err(ReceiveError::Busy)));

        let mut other = hold(&pool, 2);
        other.grow(1 << 10).await.unwrap();
        assert!(matches!(other.grow(1).await, Err(ReceiveError::Busy)));
        first.complete();
        drop(first);
        other.grow(1).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_body_of_the_largest_client_makes_room() {
        let pool = pool(4);
        let mut small = hold(&pool, 1);
        small.grow(1 << 10).await.unwrap();
        let mut slow = hold(&pool, 2);
        slow.grow(1 << 10).await.unwrap();
        sleep(Duration::from_secs(10)).await;
        let mut fast = hold(&pool, 2);
        fast.grow(2 << 10).await.unwrap();
        sleep(Duration::from_secs(2)).await;

        let mut newcomer = hold(&pool, 3);
        let ending = async {
            slow.wait_for_eviction().await;
            drop(slow);
        };
        let (grown, ()) = tokio::join!(newcomer.grow(1 << 10), ending);
        grown.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_complete_body_makes_no_room() {
        let pool = pool(4);
        let mut complete = hold(&pool, 1);
        complete.grow(3 << 10).await.unwrap();
        complete.complete();
        sleep(Duration::from_secs(10)).await;

        let mut newcomer = hold(&pool, 2);
        assert!(matches!(
            newcomer.grow(2 << 10).await,
            Err(ReceiveError::Busy)
        ));
    }
}
