//! Computes the delay before a retry.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

/// Returns the delay before the next attempt.
///
/// `attempt` counts failures from 0, `after` is the server's `Retry-After`, `random` is in 0..1. A
/// process that is stopping waits briefly and ignores `Retry-After`, since its time is limited.
pub(super) fn delay(
    attempt: u32,
    after: Option<Duration>,
    urgency: Urgency,
    random: f64,
) -> Duration {
    // The shift stops at 8, well past `LONGEST`, so that it cannot overflow.
    let exponential = FIRST.saturating_mul(1 << attempt.min(8)).min(LONGEST);
    // Jitter keeps tasks that failed together from retrying together.
    let jittered = exponential.mul_f64(0.5 + random / 2.0);
    match (urgency, after) {
        (Urgency::Patient, Some(after)) => after.min(MAX_RETRY_AFTER).max(jittered),
        (Urgency::Patient, None) => jittered,
        (Urgency::Draining, _) => jittered.min(DRAIN_DELAY),
    }
}

/// How much time is left for retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Patient,
    Draining,
}

/// Parses `Retry-After`: seconds or an HTTP date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(header: Option<&HeaderValue>, now: SystemTime) -> Option<Duration> {
    let text = header?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date in the past means at once.
    Some(date.duration_since(now).unwrap_or_default())
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// The upper limit for `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);
const DRAIN_DELAY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_the_delay_up_to_a_limit() {
        let patient = |attempt, random| delay(attempt, None, Urgency::Patient, random);
        assert_eq!(patient(0, 0.0), Duration::from_millis(250));
        assert_eq!(patient(0, 1.0), Duration::from_millis(500));
        assert_eq!(patient(3, 1.0), Duration::from_secs(4));
        assert_eq!(patient(60, 1.0), LONGEST);
    }

    #[test]
    fn follows_retry_after_up_to_a_limit() {
        let requested =
            |seconds| delay(0, Some(Duration::from_secs(seconds)), Urgency::Patient, 0.5);
        assert_eq!(requested(7), Duration::from_secs(7));
        assert_eq!(requested(0), Duration::from_millis(375));
        assert_eq!(requested(u64::MAX), MAX_RETRY_AFTER);
    }

    #[test]
    fn ignores_retry_after_while_draining() {
        let after = Some(Duration::from_mins(1));
        assert_eq!(delay(9, after, Urgency::Draining, 1.0), DRAIN_DELAY);
    }

    #[test]
    fn parses_seconds_and_dates() {
        let read = |text: &'static str, now| {
            retry_after(
                Some(&HeaderValue::from_static(text)),
                SystemTime::UNIX_EPOCH + now,
            )
        };

        assert_eq!(read("121", Duration::ZERO), Some(Duration::from_secs(121)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let then = Duration::from_secs(784_111_777);
        assert_eq!(
            read(date, Duration::from_secs(784_111_772)),
            Some(Duration::from_secs(5))
        );
        assert_eq!(
            read(date, then + Duration::from_secs(5)),
            Some(Duration::ZERO)
        );
        assert_eq!(read("soon", then), None);
    }
}
