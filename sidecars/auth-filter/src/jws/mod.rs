//! JSON Web Signatures (RFC 7515, compact serialization) and their keys (RFC 7517).
//!
//! This layer handles bytes, keys and signatures, not claims: [`Jws::parse`] splits a token,
//! [`Key::from_jwk`] creates a key, [`verify_jws`] verifies one with the other. The algorithm is
//! determined by the key; the token's header must agree with it.

mod algorithm;
mod header;
mod key;
mod roca;
mod token;

pub use algorithm::Algorithm;
pub(crate) use header::parse_document;
pub use header::{Header, HeaderError};
pub use key::{Jwk, Key, KeyError};
pub use token::{Jws, JwsError, verify_jws};
