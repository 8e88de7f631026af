//! What became of every item: counted here, exported as a metric, summed up at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::otlp::Signal;

/// What can become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemOutcome {
    /// Taken into the queue and acknowledged to its sender.
    Accepted,
    /// Not taken; the sender was told. ValidationError requests count as one item.
    Refused(&'static str),
    /// Taken by the destination.
    Sent,
    /// Rejected by the destination within a request that it took.
    Rejected,
    /// Given up after it was accepted.
    Dropped(&'static str),
    /// Sent again after a failure; counted once an attempt.
    Retried,
}

/// The counts since the start.
#[derive(Debug)]
pub(crate) struct Counters {
    counts: [[AtomicU64; OUTCOMES]; 3],
    exported: Counter<u64>,
}

impl Counters {
    /// Starts at nought.
    pub(crate) fn new() -> Self {
        Self {
            counts: Default::default(),
            exported: chassis::telemetry::counter(
                "telemetry_forwarder.items",
                "{item}",
                "Spans, data points and log records, by what became of them.",
            ),
        }
    }

    /// Counts items.
    pub(crate) fn add(&self, signal: Signal, outcome: ItemOutcome, items: usize) {
        let (index, name, reason) = outcome.parts();
        self.counts[signal.index()][index].fetch_add(items as u64, Ordering::Relaxed);
        let attributes = [
            KeyValue::new("signal", signal.name()),
            KeyValue::new("outcome", name),
            KeyValue::new("reason", reason),
        ];
        self.exported.add(items as u64, &attributes);
    }

    /// How many items of all signals met a outcome, whatever the reason.
    pub(crate) fn total(&self, outcome: ItemOutcome) -> u64 {
        let (index, ..) = outcome.parts();
        self.counts
            .iter()
            .map(|signal| signal[index].load(Ordering::Relaxed))
            .sum()
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl ItemOutcome {
    const fn parts(self) -> (usize, &'static str, &'static str) {
        match self {
            Self::Accepted => (0, "accepted", ""),
            Self::Refused(reason) => (1, "refused", reason),
            Self::Sent => (2, "sent", ""),
            Self::Rejected => (3, "rejected", ""),
            Self::Dropped(reason) => (4, "dropped", reason),
            Self::Retried => (5, "retried", ""),
        }
    }
}

const OUTCOMES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_a_fate_over_signals_and_reasons() {
        let counters = Counters::new();
        counters.add(Signal::Traces, ItemOutcome::Dropped("refused"), 2);
        counters.add(Signal::Logs, ItemOutcome::Dropped("too large"), 3);
        counters.add(Signal::Logs, ItemOutcome::Sent, 7);
        assert_eq!(counters.total(ItemOutcome::Dropped("")), 5);
        assert_eq!(counters.total(ItemOutcome::Sent), 7);
    }
}
