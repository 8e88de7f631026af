//! Requests that wait for the destination: bounded in bytes, one queue per signal, taken in batches.
//!
//! What has been taken and not yet delivered still counts, so the bound holds for everything in
//! memory. A queue on disk would stand behind the same three calls: [`Queue::push`],
//! [`Queue::next`] and the dropping of a [`Batch`], which is its acknowledgement.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::otlp::Signal;

/// When a batch is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// Bytes that one batch holds at most, unless a single request is larger.
    pub(crate) max_bytes: usize,
    /// Items that one batch holds at most, unless a single request has more.
    pub(crate) max_items: usize,
    /// How long the first request waits for others.
    pub(crate) timeout: Duration,
}

/// Why a request cannot be queued now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PushError {
    /// The bound is reached.
    #[error("the queue is full")]
    Full,
    /// The process is ending.
    #[error("the forwarder is stopping")]
    Closed,
}

/// The queue; clones are the same queue.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

/// Requests of one signal, concatenated into one; dropping it makes its room free.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The bytes of a valid request.
    pub(crate) request: Bytes,
    /// How many items it holds.
    pub(crate) items: usize,
    /// What it frees when it goes.
    size: Size,
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
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Size {
    bytes: usize,
    items: usize,
}

impl Queue {
    /// An empty queue for so many bytes.
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

    /// Adds a valid request at the end of its queue.
    pub(crate) fn push(
        &self,
        signal: Signal,
        request: Bytes,
        items: usize,
    ) -> Result<(), PushError> {
        let mut state = self.state();
        if state.closed {
            return Err(PushError::Closed);
        }

        let size = Size {
            bytes: request.len(),
            items,
        };

        // An empty queue takes any one request: enrichment may have made it larger than the bound.
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
        });
        drop(state);
        self.shared.changed[signal.index()].notify_one();

        Ok(())
    }

    /// Waits for the next batch of a signal; `None` once the queue is closed and the queue is empty.
    ///
    /// Each queue has one taker.
    pub(crate) async fn next(&self, signal: Signal, limits: &BatchLimits) -> Option<Batch> {
        loop {
            let changed = self.shared.changed[signal.index()].notified();
            // On a queue of its own, so that the lock is free again when the batch is taken.
            let readiness = self.state().readiness(signal, limits);
            let ready_at = match readiness {
                Readiness::Now => return Some(self.take(signal, limits)),
                Readiness::Closed => return None,
                Readiness::At(instant) => Some(instant),
                Readiness::Empty => None,
            };

            match ready_at {
                // Either way the queue is looked at again.
                Some(instant) => drop(timeout_at(instant, changed).await),
                None => changed.await,
            }
        }
    }

    /// Lets nothing more in; what waits is readiness at once.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.shared.changed.iter().for_each(Notify::notify_one);
    }

    /// How many items are waiting or on their way.
    pub(crate) fn items(&self) -> usize {
        self.state().total.items
    }

    fn take(&self, signal: Signal, limits: &BatchLimits) -> Batch {
        let mut state = self.state();
        let queue = &mut state.signals[signal.index()];
        let mut taken: Vec<Entry> = Vec::new();
        let mut size = Size::default();

        while let Some(entry) = queue.waiting.front() {
            let bytes = size.bytes + entry.request.len();
            let items = size.items + entry.items;
            if !taken.is_empty() && (bytes > limits.max_bytes || items > limits.max_items) {
                break;
            }

            size = Size { bytes, items };
            taken.extend(queue.waiting.pop_front());
        }

        queue.size.subtract(size);
        drop(state);
        Batch {
            request: concatenate(taken),
            items: size.items,
            size,
            queue: self.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a panicking holder leaves nothing half done.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a queue has a batch to give.
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
    /// Says that so many of the items need no more care; they are not counted as waiting any more.
    pub(crate) fn complete(&mut self, items: usize) {
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

/// A request is a repeated field, so requests one after the other are one request.
fn concatenate(mut entries: Vec<Entry>) -> Bytes {
    if entries.len() == 1 {
        return entries.pop().map(|entry| entry.request).unwrap_or_default();
    }
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.request.len()).sum());
    for entry in entries {
        out.extend_from_slice(&entry.request);
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

    fn bytes(length: usize) -> Bytes {
        vec![0; length].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_what_came_within_the_delay() {
        let queue = Queue::new(1000);
        queue
            .push(Signal::Traces, Bytes::from_static(b"ab"), 1)
            .unwrap();
        queue
            .push(Signal::Traces, Bytes::from_static(b"c"), 2)
            .unwrap();
        queue
            .push(Signal::Logs, Bytes::from_static(b"d"), 4)
            .unwrap();

        let start = Instant::now();
        let batch = queue.next(Signal::Traces, &LIMITS).await.unwrap();
        assert_eq!((&batch.request[..], batch.items), (&b"abc"[..], 3));
        assert_eq!(start.elapsed(), LIMITS.timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_does_not_wait() {
        let queue = Queue::new(1000);
        for _ in 0..3 {
            queue.push(Signal::Traces, bytes(60), 1).unwrap();
        }
        let start = Instant::now();
        let batch = queue.next(Signal::Traces, &LIMITS).await.unwrap();
        assert_eq!((batch.request.len(), batch.items), (60, 1));
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_has_no_more_items_than_allowed() {
        let queue = Queue::new(1000);
        for _ in 0..3 {
            queue.push(Signal::Traces, bytes(1), 4).unwrap();
        }
        assert_eq!(queue.next(Signal::Traces, &LIMITS).await.unwrap().items, 8);
    }

    #[tokio::test]
    async fn what_is_on_its_way_still_counts() {
        let queue = Queue::new(100);
        queue.push(Signal::Traces, bytes(80), 1).unwrap();
        assert_eq!(queue.push(Signal::Logs, bytes(30), 1), Err(PushError::Full));

        let limits = BatchLimits {
            timeout: Duration::ZERO,
            ..LIMITS
        };
        let batch = queue.next(Signal::Traces, &limits).await.unwrap();

        assert_eq!(queue.push(Signal::Logs, bytes(30), 1), Err(PushError::Full));
        drop(batch);
        assert_eq!(queue.push(Signal::Logs, bytes(30), 1), Ok(()));
        assert_eq!(queue.items(), 1);
    }

    #[tokio::test]
    async fn an_empty_queue_takes_one_request_of_any_size() {
        let queue = Queue::new(10);
        assert_eq!(queue.push(Signal::Traces, bytes(50), 1), Ok(()));
        assert_eq!(
            queue.push(Signal::Traces, bytes(1), 1),
            Err(PushError::Full)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_gives_what_it_has_at_once_and_then_nothing() {
        let queue = Queue::new(1000);
        queue.push(Signal::Logs, bytes(1), 1).unwrap();
        queue.close();
        assert_eq!(
            queue.push(Signal::Logs, bytes(1), 1),
            Err(PushError::Closed)
        );
        let start = Instant::now();
        assert!(queue.next(Signal::Logs, &LIMITS).await.is_some());
        assert!(queue.next(Signal::Logs, &LIMITS).await.is_none());
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_taker_that_waits_is_woken_by_a_request_and_by_the_end() {
        let queue = Queue::new(1000);
        let taker = queue.clone();
        let taking = tokio::spawn(async move {
            let first = taker.next(Signal::Logs, &LIMITS).await.is_some();
            (first, taker.next(Signal::Logs, &LIMITS).await.is_some())
        });

        tokio::task::yield_now().await;
        queue.push(Signal::Logs, bytes(1), 1).unwrap();
        tokio::time::advance(LIMITS.timeout).await;
        while queue.items() > 0 {
            tokio::task::yield_now().await;
        }

        queue.close();
        assert_eq!(taking.await.unwrap(), (true, false));
    }
}
