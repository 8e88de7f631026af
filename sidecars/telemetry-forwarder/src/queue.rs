//! Holds requests until the destination takes them: one queue per signal, bounded in bytes, read in
//! batches.
//!
//! A batch that is not yet delivered still counts, so the bound holds for everything in memory. A
//! queue on disk would implement the same three operations: [`Queue::push`], [`Queue::next`] and
//! dropping a [`Batch`], which acknowledges it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chassis::memory::Reservation;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::otlp::Signal;

/// The limits of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// Maximum bytes in a batch, unless a single request is larger.
    pub(crate) max_bytes: usize,
    /// Maximum items in a batch, unless a single request has more.
    pub(crate) max_items: usize,
    /// Maximum time the first request waits for others.
    pub(crate) timeout: Duration,
}

/// An error returned by [`Queue::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PushError {
    /// The queue has no room for the request.
    #[error("the queue is full")]
    Full,
    /// The process is stopping.
    #[error("the forwarder is stopping")]
    Closed,
}

/// A queue; clones share its contents.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

/// Requests of one signal, concatenated into one; dropping it frees its space in the queue.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The bytes of a valid request.
    pub(crate) request: Bytes,
    /// The number of items in the request.
    pub(crate) items: usize,
    /// The received requests that it consists of, in order.
    pub(crate) parts: Vec<Size>,
    /// The space to free when the batch is dropped.
    size: Size,
    _memory: Vec<Reservation>,
    queue: Queue,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    state: Mutex<State>,
    changed: [Notify; 3],
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    total: Size,
    signals: [SignalQueue; 3],
}

#[derive(Debug, Default)]
struct SignalQueue {
    waiting: VecDeque<Entry>,
    size: Size,
}

#[derive(Debug)]
struct Entry {
    request: Bytes,
    items: usize,
    since: Instant,
    memory: Reservation,
}

/// The size of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) items: usize,
}

impl Queue {
    /// Creates an empty queue of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let shared = Shared {
            limit,
            state: Mutex::default(),
            changed: Default::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Appends a valid request to the queue of its signal, with the memory it holds.
    pub(crate) fn push(
        &self,
        signal: Signal,
        request: Bytes,
        items: usize,
        memory: Reservation,
    ) -> Result<(), PushError> {
        let mut state = self.state();
        if state.closed {
            return Err(PushError::Closed);
        }

        let size = Size {
            bytes: request.len(),
            items,
        };

        // An empty queue takes any request: enrichment may have made it larger than the limit, and
        // it would never fit otherwise.
        if state.total.bytes > 0 && state.total.bytes + size.bytes > self.shared.limit {
            return Err(PushError::Full);
        }
        state.total.add(size);

        let queue = &mut state.signals[signal.index()];
        queue.size.add(size);
        queue.waiting.push_back(Entry {
            request,
            items,
            since: Instant::now(),
            memory,
        });
        // Unlocked first, so that the worker does not wake up only to wait for the lock.
        drop(state);
        self.shared.changed[signal.index()].notify_one();

        Ok(())
    }

    /// Waits for the next batch of a signal; returns `None` once the queue is closed and empty.
    ///
    /// Each signal must have a single consumer.
    pub(crate) async fn next(&self, signal: Signal, limits: &BatchLimits) -> Option<Batch> {
        loop {
            // Created before the state is read: `notify_one` stores a permit, so a push between the two
            // steps still wakes this task.
            let changed = self.shared.changed[signal.index()].notified();
            // A separate statement, so that the guard is dropped before `take` locks again.
            let readiness = self.state().readiness(signal, limits);
            let ready_at = match readiness {
                Readiness::Now => return Some(self.take(signal, limits)),
                Readiness::Closed => return None,
                Readiness::At(instant) => Some(instant),
                Readiness::Empty => None,
            };

            match ready_at {
                // A timeout and a notification both lead to another look at the state.
                Some(instant) => drop(timeout_at(instant, changed).await),
                None => changed.await,
            }
        }
    }

    /// Refuses further requests and makes the queued ones available at once.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.shared.changed.iter().for_each(Notify::notify_one);
    }

    /// Returns the number of items that are queued or being sent.
    pub(crate) fn items(&self) -> usize {
        self.state().total.items
    }

    fn take(&self, signal: Signal, limits: &BatchLimits) -> Batch {
        let mut state = self.state();
        let queue = &mut state.signals[signal.index()];
        let mut entries: Vec<Entry> = Vec::new();
        let mut size = Size::default();

        while let Some(entry) = queue.waiting.front() {
            let bytes = size.bytes + entry.request.len();
            // The first entry is always taken; the worker splits one that exceeds the limits.
            let items = size.items + entry.items;
            if !entries.is_empty() && (bytes > limits.max_bytes || items > limits.max_items) {
                break;
            }

            size = Size { bytes, items };
            entries.extend(queue.waiting.pop_front());
        }

        // `total` shrinks only when the batch is dropped: until then it is still in memory.
        queue.size.subtract(size);
        drop(state);
        let parts = entries.iter().map(Entry::size).collect();
        let (requests, memory) = entries
            .into_iter()
            .map(|entry| (entry.request, entry.memory))
            .unzip();
        Batch {
            request: concatenate(requests),
            items: size.items,
            parts,
            size,
            _memory: memory,
            queue: self.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement leaves the state consistent, so a poisoned lock is safe to use.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the next batch of a signal is available.
enum Readiness {
    Now,
    At(Instant),
    Empty,
    Closed,
}

impl State {
    fn readiness(&self, signal: Signal, limits: &BatchLimits) -> Readiness {
        let queue = &self.signals[signal.index()];
        let Some(first) = queue.waiting.front() else {
            return if self.closed {
                Readiness::Closed
            } else {
                Readiness::Empty
            };
        };

        let due = first.since + limits.timeout;
        let full = queue.size.bytes >= limits.max_bytes || queue.size.items >= limits.max_items;
        if full || self.closed || due <= Instant::now() {
            Readiness::Now
        } else {
            Readiness::At(due)
        }
    }
}

impl Batch {
    /// Marks items as finished, so that they no longer count as undelivered.
    pub(crate) fn complete(&mut self, items: usize) {
        // The bytes stay accounted for: the whole request is in memory until the batch is dropped.
        let completed = Size {
            bytes: 0,
            items: items.min(self.size.items),
        };
        self.size.subtract(completed);
        self.queue.state().total.subtract(completed);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.queue.state().total.subtract(self.size);
    }
}

impl Entry {
    fn size(&self) -> Size {
        Size {
            bytes: self.request.len(),
            items: self.items,
        }
    }
}

impl Size {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.items += other.items;
    }

    fn subtract(&mut self, other: Self) {
        self.bytes -= other.bytes;
        self.items -= other.items;
    }
}

/// Joins requests: a request consists of repeated fields only, so its concatenation is a request.
fn concatenate(mut requests: Vec<Bytes>) -> Bytes {
    if requests.len() == 1 {
        // A single request needs no copy.
        return requests.pop().unwrap_or_default();
    }
    let mut out = Vec::with_capacity(requests.iter().map(Bytes::len).sum());
    for request in requests {
        out.extend_from_slice(&request);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        max_bytes: 100,
        max_items: 10,
        timeout: Duration::from_millis(200),
    };

    fn memory() -> Reservation {
        chassis::memory::MemoryBudget::new(0).empty()
    }

    fn bytes(length: usize) -> Bytes {
        vec![0; length].into()
    }

    #[tokio::test(start_paused = true)]
    async fn batches_requests_that_arrive_within_the_timeout() {
        let queue = Queue::new(1000);
        queue
            .push(Signal::Traces, Bytes::from_static(b"ab"), 1, memory())
            .unwrap();
        queue
            .push(Signal::Traces, Bytes::from_static(b"c"), 2, memory())
            .unwrap();
        queue
            .push(Signal::Logs, Bytes::from_static(b"d"), 4, memory())
            .unwrap();

        let start = Instant::now();
        // The log request is not part of it: each signal has its own queue.
        let batch = queue.next(Signal::Traces, &LIMITS).await.unwrap();
        assert_eq!((&batch.request[..], batch.items), (&b"abc"[..], 3));
        assert_eq!(start.elapsed(), LIMITS.timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn returns_a_full_batch_at_once() {
        let queue = Queue::new(1000);
        for _ in 0..3 {
            queue.push(Signal::Traces, bytes(60), 1, memory()).unwrap();
        }
        let start = Instant::now();
        let batch = queue.next(Signal::Traces, &LIMITS).await.unwrap();
        // Two requests of 60 bytes exceed the 100 bytes of a batch.
        assert_eq!((batch.request.len(), batch.items), (60, 1));
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn limits_the_items_of_a_batch() {
        let queue = Queue::new(1000);
        for _ in 0..3 {
            queue.push(Signal::Traces, bytes(1), 4, memory()).unwrap();
        }
        assert_eq!(queue.next(Signal::Traces, &LIMITS).await.unwrap().items, 8);
    }

    #[tokio::test]
    async fn counts_a_batch_until_it_is_dropped() {
        let queue = Queue::new(100);
        queue.push(Signal::Traces, bytes(80), 1, memory()).unwrap();
        assert_eq!(
            queue.push(Signal::Logs, bytes(30), 1, memory()),
            Err(PushError::Full)
        );

        let limits = BatchLimits {
            timeout: Duration::ZERO,
            ..LIMITS
        };
        let batch = queue.next(Signal::Traces, &limits).await.unwrap();

        assert_eq!(
            queue.push(Signal::Logs, bytes(30), 1, memory()),
            Err(PushError::Full)
        );
        drop(batch);
        assert_eq!(queue.push(Signal::Logs, bytes(30), 1, memory()), Ok(()));
        assert_eq!(queue.items(), 1);
    }

    #[tokio::test]
    async fn accepts_one_request_of_any_size_when_empty() {
        let queue = Queue::new(10);
        assert_eq!(queue.push(Signal::Traces, bytes(50), 1, memory()), Ok(()));
        assert_eq!(
            queue.push(Signal::Traces, bytes(1), 1, memory()),
            Err(PushError::Full)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn returns_queued_requests_at_once_when_closed_and_then_none() {
        let queue = Queue::new(1000);
        queue.push(Signal::Logs, bytes(1), 1, memory()).unwrap();
        queue.close();
        assert_eq!(
            queue.push(Signal::Logs, bytes(1), 1, memory()),
            Err(PushError::Closed)
        );
        let start = Instant::now();
        assert!(queue.next(Signal::Logs, &LIMITS).await.is_some());
        assert!(queue.next(Signal::Logs, &LIMITS).await.is_none());
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn wakes_a_waiting_consumer_on_push_and_on_close() {
        let queue = Queue::new(1000);
        let consumer = queue.clone();
        let consuming = tokio::spawn(async move {
            let first = consumer.next(Signal::Logs, &LIMITS).await.is_some();
            (first, consumer.next(Signal::Logs, &LIMITS).await.is_some())
        });

        tokio::task::yield_now().await;
        queue.push(Signal::Logs, bytes(1), 1, memory()).unwrap();
        tokio::time::advance(LIMITS.timeout).await;
        while queue.items() > 0 {
            tokio::task::yield_now().await;
        }

        queue.close();
        assert_eq!(consuming.await.unwrap(), (true, false));
    }
}
