//! A token in compact form, and the one question asked of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Algorithm, Header, HeaderError, Key};

/// A token taken apart: three parts, decoded, nothing believed yet.
#[derive(Debug)]
pub struct Jws<'t> {
    header: Header,
    signed: &'t [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a token or its signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// The token is longer than any token needs to be.
    #[error("the token is longer than {} bytes", Jws::MAX_BYTES)]
    TooLong,
    /// The token has not exactly three parts; five is an encrypted one.
    #[error("the token has not three parts")]
    Parts,
    /// A part is not strict base64url without padding.
    #[error("the token is not base64url without padding")]
    Encoding,
    /// The header was refused.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header names an algorithm that the key is not for, or that is never offered.
    #[error("the algorithm of the token is not one of the key")]
    Algorithm,
    /// The signature is not by this key over these bytes.
    #[error("the signature is wrong")]
    Signature,
}

impl<'t> Jws<'t> {
    /// Longer tokens are refused unread: work for strangers is bounded.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Takes a token apart without believing any of it.
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

    /// The header, of which only the signature can say whether it is true.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What nobody has vouched for yet: it may choose whose keys are tried, and nothing else.
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Checks the signature with `key`; only then is there a payload to be believed.
    pub fn verify(self, key: &Key) -> Result<Vec<u8>, JwsError> {
        if self.is_signed_by(key)? {
            Ok(self.payload)
        } else {
            Err(JwsError::Signature)
        }
    }

    /// The payload if one of `keys` made the signature: for tokens that name no key.
    pub fn verify_any<'k>(
        self,
        keys: impl IntoIterator<Item = &'k Key>,
    ) -> Result<Vec<u8>, JwsError> {
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

    /// `Err` when the key is not for the algorithm named, else whether the signature claim_matches.
    fn is_signed_by(&self, key: &Key) -> Result<bool, JwsError> {
        let algorithm = Algorithm::from_name(&self.header.alg).ok_or(JwsError::Algorithm)?;
        key.verifies(algorithm, self.signed, &self.signature)
            .ok_or(JwsError::Algorithm)
    }
}

/// Checks a token in compact form with one key and gives its payload.
///
/// The payload may be any bytes. Nothing is said about what is in it.
pub fn verify_jws(token: &[u8], key: &Key) -> Result<Vec<u8>, JwsError> {
    Jws::parse(token)?.verify(key)
}

fn dots(token: &[u8]) -> Vec<usize> {
    token
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'.')
        .map(|(at, _)| at)
        .take(3)
        .collect()
}

/// The engine refuses padding, foreign alphabets and left-over bits, so that a token has one form.
fn decode(part: &[u8]) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Encoding)
}
