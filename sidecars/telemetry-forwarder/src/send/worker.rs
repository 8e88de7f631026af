//! Sends the batches of one signal; every item ends as delivered, dropped or left in the queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::Shutdown;
use tokio::time::sleep;

use super::retry::{Urgency, delay};
use super::{Destination, SendOutcome, Splittable};
use crate::counters::{Counters, ItemOutcome};
use crate::otlp::Signal;
use crate::otlp::halve::halve;
use crate::otlp::validate::validate;
use crate::queue::{Batch, BatchLimits, Queue, Size};

/// The sender of one signal.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) signal: Signal,
    pub(crate) queue: Queue,
    pub(crate) limits: BatchLimits,
    pub(crate) destination: Destination,
    pub(crate) counters: Arc<Counters>,
    /// Requested when the queue is closed and the rest must be sent quickly.
    pub(crate) draining: Shutdown,
}

/// A batch or a part of it.
#[derive(Debug)]
struct Chunk {
    request: Bytes,
    items: usize,
    /// The received requests that it consists of; none for a part of one.
    parts: Vec<Size>,
}

/// The number of times that refused chunks of a batch may still be split.
#[derive(Debug)]
struct SplitBudget {
    between_requests: usize,
    within_requests: usize,
}

/// The final outcome of a chunk.
enum ChunkOutcome {
    Delivered {
        rejected: usize,
    },
    Refused {
        reason: String,
        splittable: Splittable,
    },
}

impl Worker {
    /// Runs until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.queue.next(self.signal, &self.limits).await {
            self.deliver(batch).await;
        }
    }

    async fn deliver(&mut self, mut batch: Batch) {
        let mut chunks = vec![Chunk {
            request: batch.request.clone(),
            items: batch.items,
            parts: batch.parts.clone(),
        }];
        let mut budget = SplitBudget::new();

        // A stack: the halves of a chunk are sent before the rest, in order.
        while let Some(chunk) = chunks.pop() {
            // Enrichment can exceed the limits, and so can a single large request.
            if self.is_too_large(&chunk)
                && let Some(halves) = self.split(&chunk)
            {
                chunks.extend(halves);
                continue;
            }

            match self.send_chunk(&chunk).await {
                ChunkOutcome::Delivered { rejected } => {
                    budget.refill();
                    let delivered = chunk.items.saturating_sub(rejected);
                    self.counters
                        .add(self.signal, self.destination.item_outcome(), delivered);
                    self.counters
                        .add(self.signal, ItemOutcome::Rejected, chunk.items - delivered);
                }
                ChunkOutcome::Refused {
                    splittable: Splittable::Yes,
                    ..
                } if budget.spend(&chunk)
                    && let Some(halves) = self.split(&chunk) =>
                {
                    chunks.extend(halves);
                    continue;
                }
                ChunkOutcome::Refused { reason, .. } => {
                    let (signal, items) = (self.signal.name(), chunk.items);
                    tracing::warn!(
                        signal,
                        items,
                        error = reason,
                        "endpoint refused items, dropping them"
                    );

                    self.counters
                        .add(self.signal, ItemOutcome::Dropped("refused"), chunk.items);
                }
            }
            batch.complete(chunk.items);
        }
    }

    /// Retries until the destination has accepted or refused the chunk.
    async fn send_chunk(&mut self, chunk: &Chunk) -> ChunkOutcome {
        let signal = self.signal;
        // Compressed once, so that a retry costs only the transfer.
        let prepared = match self.destination.prepare(signal, chunk.request.clone()) {
            Ok(prepared) => prepared,
            Err(reason) => {
                return ChunkOutcome::Refused {
                    reason,
                    splittable: Splittable::No,
                };
            }
        };

        let mut attempt = 0;
        loop {
            match self.destination.send(signal, &prepared).await {
                SendOutcome::Delivered { rejected, message } => {
                    // A message without rejected items is a warning of the endpoint (OTLP, Partial Success).
                    if rejected > 0 || !message.is_empty() {
                        let signal = signal.name();
                        tracing::warn!(signal, rejected, error = message, "partial success");
                    }

                    if attempt > 0 {
                        tracing::info!(
                            signal = signal.name(),
                            attempt,
                            "endpoint accepts data again"
                        );
                    }
                    return ChunkOutcome::Delivered { rejected };
                }
                SendOutcome::Refused { reason, splittable } => {
                    return ChunkOutcome::Refused { reason, splittable };
                }
                SendOutcome::Retry { after, reason } => {
                    report_failure(signal, attempt, &reason);
                    self.counters.add(signal, ItemOutcome::Retried, chunk.items);
                    self.pause(attempt, after).await;
                    attempt += 1;
                }
            }
        }
    }

    /// Waits before the next attempt; the start of the drain ends a long wait.
    async fn pause(&self, attempt: u32, after: Option<Duration>) {
        if !self.draining.is_requested() {
            let patient = sleep(delay(attempt, after, Urgency::Patient, fastrand::f64()));
            tokio::select! {
                () = patient => return,
                () = self.draining.wait() => {}
            }
        }
        sleep(delay(attempt, after, Urgency::Draining, fastrand::f64())).await;
    }

    fn is_too_large(&self, chunk: &Chunk) -> bool {
        chunk.request.len() > self.limits.max_bytes || chunk.items > self.limits.max_items
    }

    /// Splits a chunk in two; the half to send first comes last.
    ///
    /// First between the requests of different senders, so that one that the endpoint refuses does not
    /// cost the others.
    fn split(&self, chunk: &Chunk) -> Option<[Chunk; 2]> {
        if chunk.parts.len() > 1 {
            return Some(chunk.split_between_requests());
        }

        let (first, second) = halve(&chunk.request).ok().flatten()?;
        // Counted again, since the items are not spread evenly over the bytes.
        let count = |request: &[u8]| validate(self.signal, request).ok();
        let (first_items, second_items) = (count(&first)?, count(&second)?);
        Some([
            Chunk {
                request: second.into(),
                items: second_items,
                parts: Vec::new(),
            },
            Chunk {
                request: first.into(),
                items: first_items,
                parts: Vec::new(),
            },
        ])
    }
}

impl Chunk {
    /// Splits between two requests, nearest to the middle; the half to send first comes last.
    fn split_between_requests(&self) -> [Self; 2] {
        let (mut index, mut bytes, mut items) = (0, 0, 0);
        for part in &self.parts[..self.parts.len() - 1] {
            if index > 0 && (bytes + part.bytes) * 2 > self.request.len() {
                break;
            }
            index += 1;
            bytes += part.bytes;
            items += part.items;
        }

        let (first, second) = self.parts.split_at(index);
        [
            Self {
                request: self.request.slice(bytes..),
                items: self.items - items,
                parts: second.to_vec(),
            },
            Self {
                request: self.request.slice(..bytes),
                items,
                parts: first.to_vec(),
            },
        ]
    }
}

impl SplitBudget {
    fn new() -> Self {
        Self {
            between_requests: MAX_SPLITS,
            within_requests: MAX_SPLITS,
        }
    }

    /// Takes a split of this chunk from the budget, if there is one left.
    ///
    /// A request in which every item is refused uses up the splits within requests only.
    fn spend(&mut self, chunk: &Chunk) -> bool {
        let left = if chunk.parts.len() > 1 {
            &mut self.between_requests
        } else {
            &mut self.within_requests
        };
        let is_left = *left > 0;
        *left = left.saturating_sub(1);
        is_left
    }

    /// Adds splits after a delivery: the endpoint does not refuse everything.
    fn refill(&mut self) {
        self.between_requests = (self.between_requests + SPLITS_PER_DELIVERY).min(MAX_SPLITS);
        self.within_requests = (self.within_requests + 1).min(MAX_SPLITS);
    }
}

/// Logs the first failure, and every tenth during an outage, as a warning.
fn report_failure(signal: Signal, attempt: u32, reason: &str) {
    let signal = signal.name();
    if attempt.is_multiple_of(10) {
        tracing::warn!(
            signal,
            attempt,
            error = reason,
            "cannot send to endpoint, retrying"
        );
    } else {
        tracing::debug!(signal, attempt, error = reason, "cannot send to endpoint");
    }
}

/// Enough to isolate several invalid items in a full batch; an endpoint that refuses everything does
/// not get one request per item.
const MAX_SPLITS: usize = 64;
/// More than one, so that many refused requests among accepted ones are isolated too.
const SPLITS_PER_DELIVERY: usize = 2;
