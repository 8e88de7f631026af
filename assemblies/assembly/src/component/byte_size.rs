//! A number of bytes with a unit: `3.2 MB`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number of bytes, written with a unit: `3.2 MB` is 3,200,000 bytes, `3 MiB` is 3,145,728.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

/// The text is no number of bytes with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseByteSizeError(String);

impl ByteSize {
    /// Returns the number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Parses a number with `B`, `kB`, `MB`, `GB`, `KiB`, `MiB` or `GiB`.
    pub fn parse(text: &str) -> Result<Self, ParseByteSizeError> {
        let invalid = || ParseByteSizeError(text.to_owned());
        let unit = text
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or_else(invalid)?;
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == &text[unit..])
            .ok_or_else(invalid)?;

        // Decimal digits only: `f64` would also accept `inf` and `1e9`.
        let number = text[..unit].trim_end();
        let is_number = number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let bytes = (number * factor).round();
        let fits = is_number && (1.0..=MAX_BYTES).contains(&bytes);

        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and in range"
        )]
        fits.then_some(Self(bytes as u64)).ok_or_else(invalid)
    }
}

impl fmt::Display for ByteSize {
    /// Writes the largest unit in which the number has at most two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)] {
            if self.0 >= size && self.0.is_multiple_of(size / 100) {
                let (whole, hundredths) = (self.0 / size, self.0 % size / (size / 100));
                let decimals = format!("{hundredths:02}");
                let decimals = decimals.trim_end_matches('0');
                let point = if decimals.is_empty() { "" } else { "." };
                return write!(f, "{whole}{point}{decimals} {unit}");
            }
        }

        write!(f, "{} B", self.0)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = ParseByteSizeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a size such as `3.2 MB`", self.0)
    }
}

impl std::error::Error for ParseByteSizeError {}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes with a unit: `3.2 MB`.",
            "type": "string",
            "format": FORMAT,
            "pattern": r"^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|KiB|MiB|GiB)$",
        })
    }
}

/// The `format` of the schema, by which the decoder recognizes the type.
pub(crate) const FORMAT: &str = "byte-size";

const UNITS: [(&str, f64); 7] = [
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1024.0 * 1024.0),
    ("GiB", 1024.0 * 1024.0 * 1024.0),
];

/// An image on Fargate has at most 200 GiB of ephemeral storage; a million GB is a mistake in the unit.
const MAX_BYTES: f64 = 1e15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_decimal_and_binary_units() {
        let bytes = |text| ByteSize::parse(text).map(ByteSize::bytes);
        assert_eq!(bytes("3.2 MB"), Ok(3_200_000));
        assert_eq!(bytes("3MiB"), Ok(3_145_728));
        assert_eq!(bytes("900 kB"), Ok(900_000));
        assert_eq!(bytes("12 B"), Ok(12));
    }

    #[test]
    fn rejects_text_that_is_no_size() {
        for text in [
            "", "3", "MB", "3 mb", "-3 MB", "0 MB", "1e3 MB", "inf MB", "3 MB 4", "1.2.3 MB",
        ] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn displays_the_text_that_parses_to_the_same_size() {
        for (text, shown) in [
            ("3.2 MB", "3.2 MB"),
            ("3 MiB", "3145728 B"),
            ("1000 kB", "1 MB"),
        ] {
            let size = ByteSize::parse(text).expect("valid");
            assert_eq!(size.to_string(), shown);
            assert_eq!(ByteSize::parse(shown), Ok(size));
        }
    }
}
