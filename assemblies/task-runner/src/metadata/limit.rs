//! How often may be asked: a bucket of tokens.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct Limit {
    per_second: f64,
    burst: f64,
    bucket: Mutex<(f64, Instant)>,
}

impl Limit {
    /// A full bucket.
    pub(super) fn new(per_second: f64, burst: f64) -> Self {
        let bucket = Mutex::new((burst, Instant::now()));
        Self {
            per_second,
            burst,
            bucket,
        }
    }

    /// Whether one more may be answered now; it is counted.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.1).as_secs_f64();
        let tokens = (bucket.0 + passed * self.per_second).min(self.burst);
        let fits = tokens >= 1.0;
        *bucket = (if fits { tokens - 1.0 } else { tokens }, now);
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lets_a_burst_through_and_then_the_rate() {
        let limit = Limit::new(40.0, 60.0);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| limit.take(now)).count(), 60);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limit.take(later)).count(), 40);
    }
}
