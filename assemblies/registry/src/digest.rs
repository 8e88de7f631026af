//! The digest of an image.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest: `sha256:` and 64 hexadecimal digits, the only kind that ECS accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
];

/// An error parsing a digest.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a sha256 digest")]
pub struct ParseDigestError(String);

impl Digest {
    /// Computes the digest of bytes.
    pub fn from_content(bytes: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(bytes))
    }

    /// Computes the digest of a file's content and its length in bytes.
    pub fn from_file(path: &Path) -> io::Result<(Self, u64)> {
        let mut hasher = Sha256::new();
        let mut input = File::open(path)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut length = 0;

        loop {
            let count = input.read(&mut buffer)?;
            if count == 0 {
                return Ok((Self::from_hash(&hasher.finalize()), length));
            }
            hasher.update(&buffer[..count]);
            length += count as u64;
        }
    }

    /// Returns the 64 digits without `sha256:`.
    pub fn hex(&self) -> &str {
        self.0.trim_start_matches("sha256:")
    }

    fn from_hash(hash: &[u8]) -> Self {
        let mut text = "sha256:".to_owned();
        for byte in hash {
            text.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
        }
        Self(text)
    }

    /// Returns the text: `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Computes a digest of bytes that arrive in pieces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_hash(&self.0.finalize())
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        // Upper case is not allowed (OCI image specification, Digests).
        let is_hex = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
        if digits.len() == 64 && digits.chars().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            // The text may come from a server, so the message shows only its start.
            Err(ParseDigestError(text.chars().take(100).collect()))
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes_the_digest_of_empty_input() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::from_content(b"").as_str(), empty);
        assert!(empty.parse::<Digest>().is_ok());
    }

    #[test]
    fn rejects_short_uppercase_and_other_digests() {
        for text in [
            "",
            "sha256:ab",
            &format!("sha256:{}", "A".repeat(64)),
            "sha512:00",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
