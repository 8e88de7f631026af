//! The `api-key` verb: generates a random key and its entry.

use std::io::Write;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::BoxError;

use crate::credentials::{ApiKey, api_key_fingerprint};

/// Writes the key to stderr, so that redirecting stdout does not store it, and its entry to stdout.
pub(super) fn generate(id: &str, scopes: &[String]) -> Result<u8, BoxError> {
    // 256 bits cannot be guessed, so the stored hash needs no salt and no slow hash function.
    let mut random = [0; 32];
    rand::fill(&mut random).map_err(|_| "cannot generate random bytes")?;
    let key = format!("{id}.{}", URL_SAFE_NO_PAD.encode(random));
    let entry = ApiKey {
        id: id.to_owned(),
        sha256: api_key_fingerprint(&key),
        scopes: scopes.to_vec(),
        expires: None,
    };

    writeln!(std::io::stderr(), "{key}")?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&entry)?)?;
    Ok(0)
}
