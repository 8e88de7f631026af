//! Signed tokens (RFC 7515, compact form) and the keys they are checked with (RFC 7517).
//!
//! This layer knows bytes, keys and signatures and nothing of claims: [`Jws::parse`] takes a token
//! apart, [`Key::from_jwk`] makes a key, [`verify_jws`] claim_matches one against the other. The algorithm
//! always comes from the key; the header of the token may only agree with it.

mod algorithm;
mod header;
mod key;
mod roca;
mod token;

pub use algorithm::Algorithm;
pub(crate) use header::parse_object;
pub use header::{Header, HeaderError};
pub use key::{Jwk, Key, KeyError};
pub use token::{Jws, JwsError, verify_jws};
