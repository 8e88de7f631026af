//! A token in compact serialization and its verification.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Algorithm, Header, HeaderError, Key};

/// A token split into its decoded parts, not yet verified.
#[derive(Debug)]
pub struct Jws<'t> {
    header: Header,
    signed: &'t [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a token or its signature is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// The token is longer than [`Jws::MAX_BYTES`].
    #[error("the token is longer than {} bytes", Jws::MAX_BYTES)]
    TooLong,
    /// The token does not have exactly three parts; an encrypted one has five.
    #[error("the token does not have three parts")]
    Parts,
    /// A part is not base64url without padding.
    #[error("the token is not base64url without padding")]
    Encoding,
    /// The header is invalid.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header's algorithm is unsupported or does not fit the key.
    #[error("the key is not for the algorithm of the token")]
    Algorithm,
    /// The signature does not verify.
    #[error("the signature is invalid")]
    Signature,
}

impl<'t> Jws<'t> {
    /// Maximum length in bytes; longer tokens are rejected unparsed to bound the work for
    /// unauthenticated clients.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Splits and decodes a token without verifying it.
    pub fn parse(token: &'t [u8]) -> Result<Self, JwsError> {
        if token.len() > Self::MAX_BYTES {
            return Err(JwsError::TooLong);
        }

        let dots = dots(token);
        let [first, second] = dots[..] else {
            return Err(JwsError::Parts);
        };

        Ok(Self {
            header: Header::parse(&decode(&token[..first])?)?,
            signed: &token[..second],
            payload: decode(&token[first + 1..second])?,
            signature: decode(&token[second + 1..])?,
        })
    }

    /// Returns the unverified header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the unverified payload. It may select the keys to try and nothing else.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Verifies the signature with `key` and returns the payload.
    pub fn verify(self, key: &Key) -> Result<Vec<u8>, JwsError> {
        if self.is_signed_by(key)? {
            Ok(self.payload)
        } else {
            Err(JwsError::Signature)
        }
    }

    /// Verifies the signature with any of `keys`, for tokens without a key id, and returns the
    /// payload.
    pub fn verify_any<'k>(
        self,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> Result<Vec<u8>, JwsError> {
        // The most specific error wins: a fitting key with a wrong signature over no fitting key.
        let mut error = JwsError::Algorithm;
        for key in keys {
            match self.is_signed_by(key) {
                Ok(true) => return Ok(self.payload),
                Ok(false) => error = JwsError::Signature,
                Err(_) => {}
            }
        }

        Err(error)
    }

    /// Returns whether the signature verifies; `Err` when the key is not for the algorithm.
    fn is_signed_by(&self, key: &Key) -> Result<bool, JwsError> {
        let algorithm = Algorithm::from_name(&self.header.alg).ok_or(JwsError::Algorithm)?;
        key.verifies(algorithm, self.signed, &self.signature)
            .ok_or(JwsError::Algorithm)
    }
}

/// Verifies a compact token with one key and returns its payload.
///
/// The payload may be any bytes and is not checked.
pub fn verify_jws(token: &[u8], key: &Key) -> Result<Vec<u8>, JwsError> {
    Jws::parse(token)?.verify(key)
}

fn dots(token: &[u8]) -> Vec<usize> {
    token
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'.')
        .map(|(at, _)| at)
        // Three dots are already too many; a long token of dots costs no memory.
        .take(3)
        .collect()
}

/// Decodes strict base64url. Padding, other alphabets and non-zero trailing bits are rejected, so
/// that a token has one encoding.
fn decode(part: &[u8]) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Encoding)
}
