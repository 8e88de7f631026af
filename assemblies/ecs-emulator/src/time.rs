//! Times as API responses, events and signatures have them.

use std::time::{Duration, SystemTime};

use serde_json::Value;

/// A time format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFormat {
    /// Seconds since 1970 with milliseconds, as in API responses.
    Seconds,
    /// RFC 3339, as in events.
    Rfc3339,
}

/// Converts a time to JSON.
pub(crate) fn to_json(time: SystemTime, format: TimeFormat) -> Value {
    match format {
        TimeFormat::Seconds => seconds(time).into(),
        TimeFormat::Rfc3339 => local::rfc3339(time).into(),
    }
}

/// Returns the seconds since 1970, with the precision of ECS: milliseconds.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap_or(Duration::ZERO).as_millis();
    millis as f64 / 1000.0
}

/// Formats a time as in signatures: `20261130T120000Z`. The text sorts by time.
pub(crate) fn basic_format(time: SystemTime) -> String {
    let digits = |c: &char| c.is_ascii_digit() || *c == 'T';
    let text = local::rfc3339(time);
    let mut basic: String = text
        .split('.')
        .next()
        .unwrap_or(&text)
        .chars()
        .filter(digits)
        .collect();
    basic.push('Z');
    basic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_the_date_of_a_signature() {
        // 2015-08-30T12:36:00Z, the date of AWS's signature test suite.
        let time = SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636);
        assert_eq!(basic_format(time), "20150830T123600Z");
        assert_eq!(
            to_json(time, TimeFormat::Seconds),
            Value::from(1_440_938_160.0)
        );
    }
}
