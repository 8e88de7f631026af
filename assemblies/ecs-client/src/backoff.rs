//! Intervals between polls and between attempts.

use std::time::Duration;

/// Intervals that grow by half up to a maximum, each shortened at random, so that many clients that were refused at
/// the same time do not come back at the same time.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self { next: first, max }
    }

    /// Returns the next interval: between half and all of the current one.
    pub(crate) fn next(&mut self) -> Duration {
        let full = self.next.min(self.max);
        self.next = (full + full / 2).min(self.max);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn grows_to_the_maximum_and_stays_between_half_and_all_of_it() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        for full in [1.0, 1.5, 2.25, 3.375, 5.0625, 7.59375, 10.0, 10.0] {
            let interval = backoff.next().as_secs_f64();
            assert!(
                (full / 2.0..=full).contains(&interval),
                "{interval} of {full}"
            );
        }
    }
}
