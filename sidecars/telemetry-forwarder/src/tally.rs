//! What became of every item: counted here, exported as a metric, summed up at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::otlp::Signal;

/// What can become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Taken into the queue and acknowledged to its sender.
    Accepted,
    /// Not taken; the sender was told. Malformed requests count as one item.
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
pub(crate) struct Tally {
    counts: [[AtomicU64; FATES]; 3],
    exported: Counter<u64>,
}

impl Tally {
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
    pub(crate) fn add(&self, signal: Signal, fate: Fate, items: usize) {
        let (index, name, reason) = fate.parts();
        self.counts[signal.index()][index].fetch_add(items as u64, Ordering::Relaxed);
        let attributes = [
            KeyValue::new("signal", signal.name()),
            KeyValue::new("outcome", name),
            KeyValue::new("reason", reason),
        ];
        self.exported.add(items as u64, &attributes);
    }

    /// How many items of all signals met a fate, whatever the reason.
    pub(crate) fn total(&self, fate: Fate) -> u64 {
        let (index, ..) = fate.parts();
        self.counts
            .iter()
            .map(|signal| signal[index].load(Ordering::Relaxed))
            .sum()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Fate {
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

const FATES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_a_fate_over_signals_and_reasons() {
        let tally = Tally::new();
        tally.add(Signal::Traces, Fate::Dropped("refused"), 2);
        tally.add(Signal::Logs, Fate::Dropped("too large"), 3);
        tally.add(Signal::Logs, Fate::Sent, 7);
        assert_eq!(tally.total(Fate::Dropped("")), 5);
        assert_eq!(tally.total(Fate::Sent), 7);
    }
}
