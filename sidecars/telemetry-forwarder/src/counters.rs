//! Counts the outcome of every item, exports it as a metric, and sums it up at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::otlp::Signal;

/// The outcome of an item: a span, data point or log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemOutcome {
    /// Queued and acknowledged to its sender.
    Accepted,
    /// Not queued, and the sender got an error. A refused request counts as one item.
    Refused(&'static str),
    /// Accepted by the destination.
    Sent,
    /// Rejected by the destination in a partial success.
    Rejected,
    /// Dropped after it was accepted.
    Dropped(&'static str),
    /// Sent again after a failure; counted once per attempt.
    Retried,
}

/// The counts since the start of the process.
#[derive(Debug)]
pub(crate) struct Counters {
    counts: [[AtomicU64; OUTCOMES]; 3],
    exported: Counter<u64>,
}

impl Counters {
    /// Creates counters at zero.
    pub(crate) fn new() -> Self {
        Self {
            counts: Default::default(),
            exported: chassis::telemetry::counter(
                "telemetry_forwarder.items",
                "{item}",
                "Spans, data points and log records, by outcome.",
            ),
        }
    }

    /// Counts items.
    pub(crate) fn add(&self, signal: Signal, outcome: ItemOutcome, items: usize) {
        let (index, name, reason) = outcome.parts();
        // Relaxed is enough: the counters are independent of each other.
        self.counts[signal.index()][index].fetch_add(items as u64, Ordering::Relaxed);
        let attributes = [
            KeyValue::new("signal", signal.name()),
            KeyValue::new("outcome", name),
            KeyValue::new("reason", reason),
        ];
        self.exported.add(items as u64, &attributes);
    }

    /// Returns the number of items of all signals with an outcome, whatever its reason.
    pub(crate) fn total(&self, outcome: ItemOutcome) -> u64 {
        // The index ignores the reason, so any reason selects the same counter.
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
    fn sums_an_outcome_over_signals_and_reasons() {
        let counters = Counters::new();
        counters.add(Signal::Traces, ItemOutcome::Dropped("refused"), 2);
        counters.add(Signal::Logs, ItemOutcome::Dropped("too large"), 3);
        counters.add(Signal::Logs, ItemOutcome::Sent, 7);
        assert_eq!(counters.total(ItemOutcome::Dropped("")), 5);
        assert_eq!(counters.total(ItemOutcome::Sent), 7);
    }
}
