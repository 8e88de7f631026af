//! The limits on requests in flight, in total and per client.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::Counter};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::Limits;
use crate::telemetry;

/// The slots of a listener.
#[derive(Debug)]
pub(super) struct RequestSlots {
    all: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// 0 is unlimited.
    max_per_client: usize,
    clients: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// The slots that one connection can use.
#[derive(Debug, Clone)]
pub(super) struct ClientSlots {
    all: Arc<Semaphore>,
    /// One permit per request that may wait for a slot.
    waiting: Arc<Semaphore>,
    client: Option<Arc<Semaphore>>,
}

/// A request in flight, until dropped.
#[derive(Debug)]
pub(super) struct RequestSlot {
    _all: OwnedSemaphorePermit,
    _client: Option<OwnedSemaphorePermit>,
}

impl RequestSlots {
    pub(super) fn new(limits: &Limits) -> Self {
        let max_requests = limits.max_requests.clamp(1, Semaphore::MAX_PERMITS);
        let max_waiting = max_requests.saturating_mul(WAITING_PER_SLOT);
        Self {
            all: Arc::new(Semaphore::new(max_requests)),
            waiting: Arc::new(Semaphore::new(max_waiting.min(Semaphore::MAX_PERMITS))),
            max_per_client: limits.max_requests_per_client.min(Semaphore::MAX_PERMITS),
            clients: Mutex::default(),
        }
    }

    /// Returns the slots for a connection of this client.
    pub(super) fn for_client(&self, client: IpAddr) -> ClientSlots {
        let limited = (self.max_per_client > 0).then(|| {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slots) = clients.get(&client).and_then(Weak::upgrade) {
                return slots;
            }

            // Entries of clients without a connection are removed as often as the map doubles.
            if clients.len() == clients.capacity() {
                clients.retain(|_, slots| slots.strong_count() > 0);
            }
            let slots = Arc::new(Semaphore::new(self.max_per_client));
            clients.insert(client, Arc::downgrade(&slots));
            slots
        });

        ClientSlots {
            all: Arc::clone(&self.all),
            waiting: Arc::clone(&self.waiting),
            client: limited,
        }
    }
}

impl ClientSlots {
    /// Takes a slot if one is free.
    pub(super) fn try_acquire(&self) -> Option<RequestSlot> {
        let client = match &self.client {
            Some(slots) => Some(Arc::clone(slots).try_acquire_owned().ok()?),
            None => None,
        };
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(RequestSlot {
            _all: all,
            _client: client,
        })
    }

    /// Waits briefly for a slot, and counts a request that gets none.
    pub(super) async fn acquire(self) -> Option<RequestSlot> {
        let Self {
            all,
            waiting: places,
            client,
        } = self;
        let Ok(_place) = places.try_acquire() else {
            record_refused("requests");
            return None;
        };
        let waiting = async {
            let client = match client {
                Some(slots) => Some(slots.acquire_owned().await.ok()?),
                None => None,
            };
            let all = all.acquire_owned().await.ok()?;
            Some(RequestSlot {
                _all: all,
                _client: client,
            })
        };

        let slot = timeout(MAX_WAIT, waiting).await.ok().flatten();
        if slot.is_none() {
            record_refused("requests");
        }
        slot
    }
}

/// Counts a request or connection that a limit refuses.
pub(super) fn record_refused(limit: &'static str) {
    static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
        telemetry::counter(
            "http.server.refused",
            "{request}",
            "Requests and connections refused because a limit is reached, by limit.",
        )
    });
    REFUSED.add(1, &[KeyValue::new("limit", limit)]);
}

/// A request that waits holds little more than its header section.
const WAITING_PER_SLOT: usize = 4;
/// Long enough for a burst of short requests; after that the client should retry instead.
const MAX_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(max_requests: usize, max_requests_per_client: usize) -> RequestSlots {
        RequestSlots::new(&Limits {
            max_requests,
            max_requests_per_client,
            ..Limits::default()
        })
    }

    #[test]
    fn limits_requests_in_total_and_per_client() {
        let slots = slots(3, 2);
        let (one, two) = (
            slots.for_client([10, 0, 0, 1].into()),
            slots.for_client([10, 0, 0, 2].into()),
        );
        let first = one.try_acquire().unwrap();
        let _second = one.try_acquire().unwrap();
        assert!(one.try_acquire().is_none(), "its own limit");
        // Another connection of the same client shares the limit.
        assert!(
            slots
                .for_client([10, 0, 0, 1].into())
                .try_acquire()
                .is_none()
        );
        let _third = two.try_acquire().unwrap();
        assert!(two.try_acquire().is_none(), "the limit of all");
        drop(first);
        assert!(two.try_acquire().is_some());
    }

    #[test]
    fn forgets_clients_without_connections() {
        let slots = slots(10, 1);
        for client in 0..10_000_u32 {
            drop(slots.for_client(client.to_be_bytes().into()));
        }
        assert!(slots.clients.lock().unwrap().len() < 100);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_slot_but_not_forever() {
        let slots = slots(1, 0);
        let client = slots.for_client([10, 0, 0, 1].into());
        let held = client.try_acquire().unwrap();
        assert!(client.clone().acquire().await.is_none());
        let waiting = tokio::spawn(client.acquire());
        tokio::task::yield_now().await;
        drop(held);
        assert!(waiting.await.unwrap().is_some());
    }
}
