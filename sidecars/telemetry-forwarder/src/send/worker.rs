//! Takes the batches of one signal and sees every item of them delivered, dropped or left over.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::Shutdown;
use tokio::time::sleep;

use super::retry::{Urgency, delay};
use super::{Cut, Destination, Outcome};
use crate::otlp::Signal;
use crate::otlp::halve::halve;
use crate::otlp::validate::validate;
use crate::queue::{Batch, Queue, Shape};
use crate::tally::{Fate, Tally};

/// The sender of one signal.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) signal: Signal,
    pub(crate) queue: Queue,
    pub(crate) shape: Shape,
    pub(crate) destination: Destination,
    pub(crate) tally: Arc<Tally>,
    /// Requested once nothing more comes in and what is left should go quickly.
    pub(crate) draining: Shutdown,
}

/// A part of a batch.
#[derive(Debug)]
struct Piece {
    request: Bytes,
    items: usize,
}

/// How one piece ended.
enum Settled {
    Delivered { rejected: usize },
    Refused { why: String, cut: Cut },
}

impl Worker {
    /// Works until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        while let Some(batch) = self.queue.next(self.signal, &self.shape).await {
            self.deliver(batch).await;
        }
    }

    async fn deliver(&mut self, mut batch: Batch) {
        let mut pieces = vec![Piece {
            request: batch.request.clone(),
            items: batch.items,
        }];
        let mut cuts = 0;

        while let Some(piece) = pieces.pop() {
            if self.is_too_large(&piece)
                && let Some(halves) = self.halves(&piece)
            {
                pieces.extend(halves);
                continue;
            }

            match self.settle(&piece).await {
                Settled::Delivered { rejected } => {
                    let delivered = piece.items.saturating_sub(rejected);
                    self.tally
                        .add(self.signal, self.destination.fate(), delivered);
                    self.tally
                        .add(self.signal, Fate::Rejected, piece.items - delivered);
                }
                Settled::Refused {
                    cut: Cut::Worthwhile,
                    ..
                } if cuts < MOST_CUTS
                    && let Some(halves) = self.halves(&piece) =>
                {
                    cuts += 1;
                    pieces.extend(halves);
                    continue;
                }
                Settled::Refused { why, .. } => {
                    let (signal, items) = (self.signal.name(), piece.items);
                    tracing::warn!(
                        signal,
                        items,
                        error = why,
                        "endpoint refused items, dropped"
                    );

                    self.tally
                        .add(self.signal, Fate::Dropped("refused"), piece.items);
                }
            }
            batch.settle(piece.items);
        }
    }

    /// Tries until the destination has taken the piece or refused it for good.
    async fn settle(&mut self, piece: &Piece) -> Settled {
        let signal = self.signal;
        let prepared = match self.destination.prepare(signal, piece.request.clone()) {
            Ok(prepared) => prepared,
            Err(why) => {
                return Settled::Refused {
                    why,
                    cut: Cut::Pointless,
                };
            }
        };

        let mut attempt = 0;
        loop {
            match self.destination.send(signal, &prepared).await {
                Outcome::Delivered { rejected, message } => {
                    if rejected > 0 || !message.is_empty() {
                        let signal = signal.name();
                        tracing::warn!(signal, rejected, error = message, "partial success");
                    }

                    if attempt > 0 {
                        tracing::info!(
                            signal = signal.name(),
                            attempt,
                            "endpoint takes data again"
                        );
                    }
                    return Settled::Delivered { rejected };
                }
                Outcome::Refused { why, cut } => return Settled::Refused { why, cut },
                Outcome::Retry { after, why } => {
                    report_failure(signal, attempt, &why);
                    self.tally.add(signal, Fate::Retried, piece.items);
                    self.pause(attempt, after).await;
                    attempt += 1;
                }
            }
        }
    }

    /// Waits for the next try; the beginning of the drain cuts a long wait short.
    async fn pause(&self, attempt: u32, after: Option<Duration>) {
        if !self.draining.is_requested() {
            let patient = sleep(delay(attempt, after, Urgency::Patient, fastrand::f64()));
            tokio::select! {
                () = patient => return,
                () = self.draining.requested() => {}
            }
        }
        sleep(delay(attempt, after, Urgency::Draining, fastrand::f64())).await;
    }

    fn is_too_large(&self, piece: &Piece) -> bool {
        piece.request.len() > self.shape.bytes || piece.items > self.shape.items
    }

    /// The two halves, the one to be sent first last.
    fn halves(&self, piece: &Piece) -> Option<[Piece; 2]> {
        let (first, second) = halve(&piece.request).ok().flatten()?;
        let count = |request: &[u8]| validate(self.signal, request).ok();
        let (first_items, second_items) = (count(&first)?, count(&second)?);
        Some([
            Piece {
                request: second.into(),
                items: second_items,
            },
            Piece {
                request: first.into(),
                items: first_items,
            },
        ])
    }
}

/// Says so at the first failure and now and then in a long outage, not at every try.
fn report_failure(signal: Signal, attempt: u32, why: &str) {
    let signal = signal.name();
    if attempt.is_multiple_of(10) {
        tracing::warn!(
            signal,
            attempt,
            error = why,
            "endpoint does not take data, retrying"
        );
    } else {
        tracing::debug!(signal, attempt, error = why, "endpoint still takes no data");
    }
}

/// Enough to find one bad item among a full batch several times over; a server that refuses
/// everything is not asked about each item alone.
const MOST_CUTS: usize = 64;
