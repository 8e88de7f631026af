//! Generates a key, writes its public part to the file in `AUTH_FILTER_JWKS`, and prints a token
//! that is valid for an hour. For development only: it can create a token for any subject.

use std::error::Error;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str| std::env::var(name).map_err(|_| format!("set `{name}`"));
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    std::fs::write(setting("AUTH_FILTER_JWKS")?, key_set(&pair))?;

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": setting("AUTH_FILTER_ISSUER")?,
        "aud": setting("AUTH_FILTER_AUDIENCE")?,
        "sub": "ada",
        "scope": std::env::args().nth(1).unwrap_or_default(),
        "exp": now + 3600,
    });

    writeln!(
        std::io::stdout(),
        "{}",
        sign_token(&pair, &claims.to_string())?
    )?;
    Ok(())
}

fn key_set(pair: &EcdsaKeyPair) -> String {
    // The public key is the octet 4 (uncompressed point, SEC 1 2.3.3), then both coordinates.
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (BASE64.encode(x), BASE64.encode(y));
    json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": KEY, "alg": "ES256", "x": x, "y": y}]})
        .to_string()
}

fn sign_token(pair: &EcdsaKeyPair, claims: &str) -> Result<String, Box<dyn Error>> {
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY}).to_string();
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes())?;
    Ok(format!("{message}.{}", BASE64.encode(signature)))
}

const KEY: &str = "mint";
