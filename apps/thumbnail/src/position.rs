//! Parses a position in a video: `12.5`, `1:02:03.5`, `50%`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// A position in a video.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Position {
    /// A time after the start, in microseconds.
    After(i64),
    /// A fraction of the duration: 0.5 is the middle.
    Share(f64),
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let parsed = match text.strip_suffix('%') {
            Some(percent) => parse_percent(percent),
            None => parse_time(text),
        };
        parsed.ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!("invalid position `{text}`; use seconds `12.5`, `1:02:03.5` or `50%`"),
            )
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(micros) => write!(f, "{}", *micros as f64 / 1e6),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

fn parse_percent(text: &str) -> Option<Position> {
    let percent = decimal(text.trim())?;
    (percent <= 100.0).then_some(Position::Share(percent / 100.0))
}

fn parse_time(text: &str) -> Option<Position> {
    // `ms` and `us` come before `s`, which is a suffix of both.
    let (number, scale) = [("ms", 1e3), ("us", 1.0), ("s", 1e6), ("", 1e6)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    if !number.contains(':') {
        return micros(decimal(number)? * scale);
    }

    if number.len() != text.len() {
        return None; // `1:02ms` has no meaning.
    }

    // From the right, since hours are optional.
    let mut parts = number.rsplit(':');
    let seconds = decimal(parts.next()?)?;
    let minutes = whole(parts.next()?)?;
    let hours = parts.next().map_or(Some(0.0), whole)?;

    if parts.next().is_some()
        || seconds >= 60.0
        || (minutes >= 60.0 && number.matches(':').count() > 1)
    {
        return None;
    }

    micros((hours * 3600.0 + minutes * 60.0 + seconds) * 1e6)
}

fn micros(value: f64) -> Option<Position> {
    (value <= LONGEST).then(|| Position::After(value.round() as i64))
}

/// Parses digits with an optional decimal point: no sign, exponent or infinity.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit() || c == '.')
        && text.contains(|c: char| c.is_ascii_digit());
    is_plain.then(|| text.parse().ok())?
}

fn whole(text: &str) -> Option<f64> {
    (!text.contains('.')).then(|| decimal(text))?
}

/// A year, in microseconds: no video is longer, and sums of such times do not overflow.
const LONGEST: f64 = 366.0 * 24.0 * 3600.0 * 1e6;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<i64> {
        match text.parse() {
            Ok(Position::After(micros)) => Some(micros),
            _ => None,
        }
    }

    #[test]
    fn parses_times() {
        assert_eq!(after("0"), Some(0));
        assert_eq!(after("12.5"), Some(12_500_000));
        assert_eq!(after(" 7.32 "), Some(7_320_000));
        assert_eq!(after("01:02:03.5"), Some(3_723_500_000));
        // Minutes may exceed 59 if there are no hours.
        assert_eq!(after("90:00"), Some(5_400_000_000));
        assert_eq!(after("200ms"), Some(200_000));
        assert_eq!(after("2s"), Some(2_000_000));
    }

    #[test]
    fn parses_percentages() {
        assert_eq!("50%".parse::<Position>().unwrap(), Position::Share(0.5));
        assert_eq!("0 %".parse::<Position>().unwrap(), Position::Share(0.0));
        assert_eq!("100%".parse::<Position>().unwrap(), Position::Share(1.0));
    }

    #[test]
    fn rejects_invalid_positions() {
        for text in [
            "", "%", "-1", "101%", "1e9", "inf", "NaN", "1:2:3:4", "1:60", "1:60:00", "1.5:00", ".",
        ] {
            let error = text.parse::<Position>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        }
    }
}
