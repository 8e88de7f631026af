//! Compares the signature layer with `jsonwebtoken`: what either signs, the other accepts, for
//! every common algorithm.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use auth_filter::jws::{Algorithm, Key, verify_jws};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use jsonwebtoken as theirs;
use serde_json::{Value, json};
use support::harness::{ISSUER, claims};
use support::signer::{Pair, Signer, b64};

fn key(signer: &Signer) -> Key {
    let jwk = serde_json::from_value(signer.jwk()).unwrap();
    Key::from_jwk(&jwk, &Algorithm::ALL).unwrap()
}

fn their_signing_key(signer: &Signer) -> theirs::EncodingKey {
    match &signer.pair {
        // `jsonwebtoken` takes RSA keys as PKCS #1, which is the last element of PKCS #8.
        Pair::Rsa(pair) => {
            let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
            theirs::EncodingKey::from_rsa_der(pkcs1(der.as_ref()))
        }
        Pair::P256(pair) | Pair::P384(pair) => {
            theirs::EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref())
        }
        Pair::Ed25519(pair) => {
            theirs::EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref())
        }
        Pair::P521(_) => panic!("`jsonwebtoken` does not know it"),
    }
}

/// Returns the octet string at the end of a PKCS #8 document with long-form lengths.
fn pkcs1(pkcs8: &[u8]) -> &[u8] {
    let start = pkcs8
        .windows(4)
        .skip(4)
        .position(|w| w[0] == 0x30 && w[1] == 0x82)
        .unwrap()
        + 4;
    &pkcs8[start..]
}

fn their_algorithms(signer: &Signer) -> &'static [theirs::Algorithm] {
    use theirs::Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match signer.pair {
        Pair::Rsa(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        Pair::P256(_) => &[ES256],
        Pair::P384(_) => &[ES384],
        Pair::P521(_) => &[],
        Pair::Ed25519(_) => &[EdDSA],
    }
}

fn signers() -> [Signer; 4] {
    [
        Signer::rsa("r"),
        Signer::p256("a"),
        Signer::p384("b"),
        Signer::ed25519("d"),
    ]
}

#[test]
fn accepts_signatures_of_jsonwebtoken() {
    for signer in signers() {
        for alg in their_algorithms(&signer) {
            let header = theirs::Header::new(*alg);
            let token = theirs::encode(&header, &claims(), &their_signing_key(&signer)).unwrap();
            let payload = verify_jws(token.as_bytes(), &key(&signer)).unwrap();
            let read: Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(read["iss"], ISSUER, "{alg:?}");
        }
    }
}

#[test]
fn jsonwebtoken_accepts_our_signatures_and_rejects_modified_tokens() {
    for signer in signers() {
        let jwk: theirs::jwk::Jwk = serde_json::from_value(signer.jwk()).unwrap();
        let their_key = theirs::DecodingKey::from_jwk(&jwk).unwrap();
        for alg in their_algorithms(&signer) {
            let token = signer.sign(&json!({"alg": alg}), claims().to_string().as_bytes());
            let mut validation = theirs::Validation::new(*alg);
            // `jsonwebtoken` rejects an `aud` that it was not configured to expect.
            validation.set_audience(&["coins"]);
            theirs::decode::<Value>(&token, &their_key, &validation).unwrap();
            verify_jws(token.as_bytes(), &key(&signer)).unwrap();

            let (head, signature) = token.rsplit_once('.').unwrap();
            let (header, _) = head.split_once('.').unwrap();
            let changed = format!(
                "{header}.{}.{signature}",
                // A later expiry, still valid claims: only the signature reveals the change.
                b64(b"{\"aud\":\"coins\",\"exp\":9e9}")
            );

            assert!(theirs::decode::<Value>(&changed, &their_key, &validation).is_err());
            assert!(verify_jws(changed.as_bytes(), &key(&signer)).is_err());
        }
    }
}
