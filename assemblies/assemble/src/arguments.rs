//! Arguments that several verbs share.

use std::path::PathBuf;
#[cfg(any(feature = "aws", feature = "up"))]
use std::time::Duration;

use clap::Args;

/// The values that replace `${…}` in an assembly.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ValueArguments {
    /// Environment: a name under `assemblies/values/`, or a file. Repeatable; the last one takes
    /// precedence.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) values: Vec<String>,
    /// Set one value, overriding those of the environments.
    #[arg(long = "value", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) value: Vec<(String, String)>,
    /// Fail if an image is not in the environment's lock file.
    #[arg(long)]
    pub(crate) locked: bool,
}

impl ValueArguments {
    /// Returns these arguments with one more environment, which overrides the others.
    pub(crate) fn and(&self, environment: &str) -> Self {
        let mut more = self.clone();
        more.values.push(environment.to_owned());
        more
    }
}

/// The price table to use.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PriceArguments {
    /// Price table [default: `assemblies/prices.yaml`, or the built-in table].
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
}

/// Splits `name=value`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name, `=` and a value".to_owned()),
    }
}

/// Parses a whole number with a unit; without one it is seconds.
#[cfg(any(feature = "aws", feature = "up"))]
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number = text
        .strip_suffix(unit)
        .and_then(|number| number.parse::<u64>().ok());
    let seconds = match unit {
        "ms" => {
            return number
                .map(Duration::from_millis)
                .ok_or_else(invalid_duration);
        }
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(invalid_duration()),
    };

    let whole = number
        .and_then(|number| number.checked_mul(seconds))
        .ok_or_else(invalid_duration)?;
    Ok(Duration::from_secs(whole))
}

#[cfg(any(feature = "aws", feature = "up"))]
fn invalid_duration() -> String {
    "is not a duration; expected for example `90s`, `30m`, `1h` or `7d`".to_owned()
}

#[cfg(all(test, any(feature = "aws", feature = "up")))]
mod tests {
    use super::*;

    #[test]
    fn parses_durations_with_and_without_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_hours(1)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        assert!(
            parse_duration("soon").is_err()
                && parse_duration("1y").is_err()
                && parse_duration("").is_err()
        );
    }
}
