//! `api-key`: a key nobody can guess, and the entry that believes it.

use std::io::Write;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::BoxError;

use crate::credentials::{ApiKey, api_key_fingerprint};

/// Writes the key to stderr, where no redirection keeps it, and its entry to stdout.
pub(super) fn generate(id: &str, scopes: &[String]) -> Result<u8, BoxError> {
    let mut random = [0; 32];
    rand::fill(&mut random).map_err(|_| "no randomness to make a key of")?;
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
