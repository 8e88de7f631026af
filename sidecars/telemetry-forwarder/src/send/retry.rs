//! When to try again.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

/// How long to wait before the next try.
///
/// `attempt` counts failures from 0, `after` is what the server asked for, `random` lies in 0..1. A
/// process that is ending waits little: its time is worth more than the server's wish.
pub(super) fn delay(
    attempt: u32,
    after: Option<Duration>,
    urgency: Urgency,
    random: f64,
) -> Duration {
    let exponential = FIRST.saturating_mul(1 << attempt.min(8)).min(LONGEST);
    let jittered = exponential.mul_f64(0.5 + random / 2.0);
    match (urgency, after) {
        (Urgency::Patient, Some(after)) => after.min(LONGEST_ASKED).max(jittered),
        (Urgency::Patient, None) => jittered,
        (Urgency::Draining, _) => jittered.min(LAST_TRIES),
    }
}

/// Whether there is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Patient,
    Draining,
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(header: Option<&HeaderValue>, now: SystemTime) -> Option<Duration> {
    let text = header?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date that has passed means now.
    Some(date.duration_since(now).unwrap_or_default())
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// A server that asks for more is asked once in this time all the same.
const LONGEST_ASKED: Duration = Duration::from_mins(5);
const LAST_TRIES: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_twice_as_long_each_time_with_jitter_up_to_a_limit() {
        let patient = |attempt, random| delay(attempt, None, Urgency::Patient, random);
        assert_eq!(patient(0, 0.0), Duration::from_millis(250));
        assert_eq!(patient(0, 1.0), Duration::from_millis(500));
        assert_eq!(patient(3, 1.0), Duration::from_secs(4));
        assert_eq!(patient(60, 1.0), LONGEST);
    }

    #[test]
    fn waits_as_long_as_the_server_asks_within_reason() {
        let asked = |seconds| delay(0, Some(Duration::from_secs(seconds)), Urgency::Patient, 0.5);
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(0), Duration::from_millis(375));
        assert_eq!(asked(u64::MAX), LONGEST_ASKED);
    }

    #[test]
    fn hurries_at_the_end() {
        let after = Some(Duration::from_mins(1));
        assert_eq!(delay(9, after, Urgency::Draining, 1.0), LAST_TRIES);
    }

    #[test]
    fn reads_seconds_and_dates() {
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
