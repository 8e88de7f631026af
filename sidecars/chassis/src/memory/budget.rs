//! A number of bytes that several holders share.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes that several holders share; clones share it too.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    limit: usize,
}

/// A part of a budget, returned to it when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl MemoryBudget {
    /// Creates a budget of this many bytes.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    /// Returns the size of the budget in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Returns a reservation of nothing, which can grow.
    pub fn empty(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            permit: None,
            bytes: 0,
        }
    }

    /// Reserves bytes if so many are free.
    pub fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let mut reservation = self.empty();
        reservation.try_grow(bytes).then_some(reservation)
    }

    /// Waits until so many bytes are free, and reserves them; returns `None` if the budget is smaller.
    ///
    /// Reservations are made in the order of the calls, so a large one is not overtaken forever.
    pub async fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let count = u32::try_from(bytes).ok();
        let count = count.filter(|_| bytes <= self.limit)?;
        let free = Arc::clone(&self.free);
        let permit = free.acquire_many_owned(count).await.ok()?;
        Some(Reservation {
            budget: self.clone(),
            permit: Some(permit),
            bytes,
        })
    }
}

impl Reservation {
    /// Returns the number of reserved bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves this many more bytes if they are free.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let Ok(count) = u32::try_from(bytes) else {
            return false;
        };
        let free = Arc::clone(&self.budget.free);
        let Ok(more) = free.try_acquire_many_owned(count) else {
            return false;
        };

        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        self.bytes += bytes;
        true
    }

    /// Adds another reservation of the same budget.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        match (&mut self.permit, other.permit.take()) {
            (Some(permit), Some(more)) => permit.merge(more),
            (None, more) => self.permit = more,
            (Some(_), None) => {}
        }
    }

    /// Returns these bytes as ones that keep the reservation until they are dropped: a response that its client is slow
    /// to read still takes its memory.
    pub fn hold(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(HeldBytes {
            bytes,
            _reservation: self,
        })
    }

    /// Returns all bytes but this many to the budget.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        if let Some(permit) = &mut self.permit {
            // Dropped, which returns it.
            permit.split(surplus);
        }
        self.bytes -= surplus;
    }
}

struct HeldBytes {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserves_up_to_the_limit_and_takes_back_what_is_dropped() {
        let budget = MemoryBudget::new(4096);
        let mut first = budget.try_reserve(1000).unwrap();
        assert!(first.try_grow(1048));
        assert_eq!(first.bytes(), 2048);
        assert!(budget.try_reserve(2049).is_none());
        assert!(!first.try_grow(2049));

        let second = budget.try_reserve(2048).unwrap();
        assert!(budget.try_reserve(1).is_none());
        drop((first, second));
        assert!(budget.try_reserve(4096).is_some());
    }

    #[test]
    fn merges_and_shrinks_reservations() {
        let budget = MemoryBudget::new(100);
        let mut all = budget.try_reserve(40).unwrap();
        all.merge(budget.try_reserve(60).unwrap());
        assert!(all.bytes() == 100 && budget.try_reserve(1).is_none());
        all.shrink_to(30);
        let rest = budget.try_reserve(70);
        assert!(all.bytes() == 30 && rest.is_some());
        drop((all, rest));
        assert!(budget.try_reserve(100).is_some());
    }

    #[test]
    fn bytes_hold_their_reservation() {
        let budget = MemoryBudget::new(4);
        let bytes = budget.try_reserve(4).unwrap().hold(b"data".to_vec());
        let copy = bytes.clone();
        drop(bytes);
        assert!(copy == "data" && budget.try_reserve(1).is_none());
        drop(copy);
        assert!(budget.try_reserve(4).is_some());
    }

    #[tokio::test]
    async fn waits_for_bytes_but_not_for_more_than_there_are() {
        let budget = MemoryBudget::new(4096);
        assert!(budget.reserve(4097).await.is_none());
        let held = budget.try_reserve(1).unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(4096).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.await.unwrap().unwrap().bytes(), 4096);
    }
}
