//! A rate limit with bursts: a token bucket.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(super) struct RateLimiter {
    per_second: f64,
    burst: f64,
    /// The tokens at the time of the last request.
    bucket: Mutex<(f64, Instant)>,
}

impl RateLimiter {
    /// Creates a limiter with a full bucket.
    pub(super) fn new(per_second: f64, burst: f64) -> Self {
        let bucket = Mutex::new((burst, Instant::now()));
        Self {
            per_second,
            burst,
            bucket,
        }
    }

    /// Takes a token; returns false if there is none.
    pub(super) fn try_acquire(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(bucket.1).as_secs_f64();
        let tokens = (bucket.0 + elapsed * self.per_second).min(self.burst);
        let is_allowed = tokens >= 1.0;
        // A refused request takes no token, so a client that keeps asking is still served at the rate.
        *bucket = (if is_allowed { tokens - 1.0 } else { tokens }, now);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lets_a_burst_through_and_then_the_rate() {
        let limiter = RateLimiter::new(40.0, 60.0);
        let now = Instant::now();
        assert_eq!((0..100).filter(|_| limiter.try_acquire(now)).count(), 60);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limiter.try_acquire(later)).count(), 40);
    }
}
