//! The signature layer and known attacks on it. Payloads are plain bytes, not claims.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use auth_filter::jws::{Algorithm, HeaderError, Jwk, Jws, JwsError, Key, KeyError, verify_jws};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::signer::{Signer, b64};

fn parse_key(jwk: &Value) -> Result<Key, KeyError> {
    Key::from_jwk(
        &serde_json::from_value::<Jwk>(jwk.clone()).unwrap(),
        &Algorithm::ALL,
    )
}

fn key(signer: &Signer) -> Key {
    parse_key(&signer.jwk()).unwrap()
}

fn with(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn accepts_every_supported_algorithm() {
    let rsa = Signer::rsa("r");
    for alg in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = rsa.sign(&json!({"alg": alg}), b"foo");
        assert_eq!(
            verify_jws(token.as_bytes(), &key(&rsa)).unwrap(),
            b"foo",
            "{alg}"
        );
    }

    for signer in [
        Signer::p256("a"),
        Signer::p384("b"),
        Signer::p521("c"),
        Signer::ed25519("d"),
    ] {
        let token = signer.sign(&json!({"alg": signer.alg()}), b"\xff\x00 any bytes");
        let payload = verify_jws(token.as_bytes(), &key(&signer));
        assert_eq!(payload.unwrap(), b"\xff\x00 any bytes", "{}", signer.alg());
    }
}

#[test]
fn takes_the_algorithm_from_the_key() {
    let rsa = Signer::rsa("r");
    let pinned = parse_key(&with(&rsa.jwk(), "alg", json!("PS256"))).unwrap();
    let good = rsa.sign(&json!({"alg": "PS256"}), b"foo");
    assert!(verify_jws(good.as_bytes(), &pinned).is_ok());

    for alg in ["RS256", "PS384"] {
        let token = rsa.sign(&json!({"alg": alg}), b"foo");
        assert_eq!(
            verify_jws(token.as_bytes(), &pinned),
            Err(JwsError::Algorithm),
            "{alg}"
        );
    }

    // Signed as RS256 with PS256 in the header: the name fits, the signature does not.
    let lie = rsa.sign_text(r#"{"alg":"PS256"}"#, b"foo", "RS256");
    assert_eq!(
        verify_jws(lie.as_bytes(), &pinned),
        Err(JwsError::Signature)
    );
}

#[test]
fn rejects_alg_none_in_every_spelling() {
    let key = key(&Signer::p256("a"));
    // RFC 7519 6 defines `none`; libraries have accepted other spellings of it.
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "none\u{0}"] {
        let header = b64(json!({"alg": alg}).to_string().as_bytes());
        for signature in ["", "AA"] {
            let token = format!("{header}.{}.{signature}", b64(b"foo"));
            assert_eq!(
                verify_jws(token.as_bytes(), &key),
                Err(JwsError::Algorithm),
                "{alg:?}"
            );
        }
    }
}

#[test]
fn rejects_hmac_keyed_with_the_public_key() {
    let rsa = Signer::rsa("r");
    let jwk = rsa.jwk();
    // CVE-2015-9235: HMAC with the public key as the secret.
    for secret in [
        jwk["n"].as_str().unwrap().to_owned(),
        jwk.to_string(),
        String::new(),
    ] {
        let signed = format!("{}.{}", b64(br#"{"alg":"HS256"}"#), b64(b"foo"));
        let mac = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            signed.as_bytes(),
        );
        let token = format!("{signed}.{}", b64(mac.as_ref()));

        assert_eq!(
            verify_jws(token.as_bytes(), &key(&rsa)),
            Err(JwsError::Algorithm)
        );
    }
}

#[test]
fn rejects_keys_of_another_family_and_other_keys_of_the_same_family() {
    let (rsa, p256, p384) = (Signer::rsa("r"), Signer::p256("a"), Signer::p384("b"));
    let token = p256.sign(&json!({"alg": "ES256"}), b"foo");
    assert_eq!(
        verify_jws(token.as_bytes(), &key(&rsa)),
        Err(JwsError::Algorithm)
    );
    assert_eq!(
        verify_jws(token.as_bytes(), &key(&p384)),
        Err(JwsError::Algorithm)
    );

    assert_eq!(
        verify_jws(token.as_bytes(), &key(&Signer::p256("a"))),
        Err(JwsError::Signature)
    );
}

#[test]
fn rejects_der_zero_short_and_long_ecdsa_signatures() {
    let signer = Signer::p256("a");
    let key = key(&signer);
    let signed = format!("{}.{}", b64(br#"{"alg":"ES256"}"#), b64(b"foo"));
    let jwk = signer.jwk();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    // A valid signature, but DER-encoded as in X.509 instead of r‖s.
    let der = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &signer.scalar(),
        &point,
    )
    .unwrap()
    .sign(&SystemRandom::new(), signed.as_bytes())
    .unwrap();

    let good = signer.signature("ES256", signed.as_bytes());
    let [r_zero, s_zero] = [
        [vec![0; 32], good[32..].to_vec()],
        [good[..32].to_vec(), vec![0; 32]],
    ];

    for signature in [
        der.as_ref().to_vec(),
        // r = s = 0 verified for every key in CVE-2022-21449.
        vec![0; 64],
        r_zero.concat(),
        s_zero.concat(),
        good[..63].to_vec(),
        [good.clone(), vec![0]].concat(),
        vec![0xff; 64],
        Vec::new(),
        digest::digest(&digest::SHA256, signed.as_bytes())
            .as_ref()
            .to_vec(),
    ] {
        let token = format!("{signed}.{}", b64(&signature));
        assert_eq!(
            verify_jws(token.as_bytes(), &key),
            Err(JwsError::Signature),
            "{signature:?}"
        );
    }

    assert!(verify_jws(format!("{signed}.{}", b64(&good)).as_bytes(), &key).is_ok());
}

#[test]
fn rejects_a_modified_header_payload_or_signature() {
    let signer = Signer::ed25519("e");
    let token = signer.sign(&json!({"alg": "EdDSA", "kid": "e"}), b"foo");
    let parts: Vec<_> = token.split('.').collect();

    // One valid token with each of its parts replaced.
    for changed in [
        format!(
            "{}.{}.{}",
            b64(br#"{"alg":"EdDSA","kid":"f"}"#),
            parts[1],
            parts[2]
        ),
        format!("{}.{}.{}", parts[0], b64(b"fop"), parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], b64(&[7; 64])),
    ] {
        assert_eq!(
            verify_jws(changed.as_bytes(), &key(&signer)),
            Err(JwsError::Signature)
        );
    }
}

#[test]
fn rejects_crit_b64_zip_and_enc_headers() {
    let signer = Signer::p256("a");
    for (header, error) in [
        (
            json!({"alg": "ES256", "crit": ["x"], "x": 1}),
            HeaderError::Critical,
        ),
        (json!({"alg": "ES256", "crit": []}), HeaderError::Critical),
        (
            json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
            HeaderError::Critical,
        ),
        (
            json!({"alg": "ES256", "b64": false}),
            HeaderError::Unencoded,
        ),
        (
            json!({"alg": "ES256", "zip": "DEF"}),
            HeaderError::Encrypted,
        ),
        (
            json!({"alg": "ES256", "enc": "A128GCM"}),
            HeaderError::Encrypted,
        ),
    ] {
        let token = signer.sign(&header, b"foo");
        let error = Err(JwsError::Header(error));
        assert_eq!(
            verify_jws(token.as_bytes(), &key(&signer)),
            error,
            "{header}"
        );
    }
}

#[test]
fn ignores_keys_carried_by_the_token() {
    let (ours, theirs) = (Signer::p256("a"), Signer::p256("a"));
    // `kid` is known; all other members point to the attacker's key.
    let header = json!({
        "alg": "ES256", "kid": "a", "jwk": theirs.jwk(),
        "jku": "https://evil.test/jwks", "x5u": "https://evil.test/x5u", "x5c": ["AAAA"],
    });
    let token = theirs.sign(&header, b"foo");

    assert_eq!(
        verify_jws(token.as_bytes(), &key(&ours)),
        Err(JwsError::Signature)
    );
    assert!(verify_jws(ours.sign(&header, b"foo").as_bytes(), &key(&ours)).is_ok());
}

#[test]
fn rejects_anything_but_compact_serialization() {
    let signer = Signer::p256("a");
    let key = key(&signer);
    let token = signer.sign(&json!({"alg": "ES256"}), b"foo");

    for (text, error) in [
        (String::new(), JwsError::Parts),
        // Two, four and five parts, and the JSON serialization (RFC 7515 7.2).
        ("a.b".into(), JwsError::Parts),
        (format!("{token}.x"), JwsError::Parts),
        ("a.b.c.d.e".into(), JwsError::Parts),
        (
            json!({"payload": "", "signatures": []}).to_string(),
            JwsError::Parts,
        ),
        // Padding, white space and the standard alphabet.
        (format!("{token}="), JwsError::Encoding),
        (format!("{token} "), JwsError::Encoding),
        (format!(" {token}"), JwsError::Encoding),
        (format!("{token}\n"), JwsError::Encoding),
        (token.replace('.', "+."), JwsError::Encoding),
        ("x".repeat(Jws::MAX_BYTES + 1), JwsError::TooLong),
    ] {
        assert_eq!(verify_jws(text.as_bytes(), &key), Err(error), "{text}");
    }

    // 64 bytes leave four unused bits in the last character; only one encoding is accepted.
    let last = token.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        let text = format!("{}{other}", &token[..token.len() - 1]);
        assert_eq!(
            verify_jws(text.as_bytes(), &key).is_ok(),
            other == last,
            "{other}"
        );
    }
}

#[test]
fn rejects_unusable_keys() {
    let (rsa, p256, ed) = (
        Signer::rsa("r").jwk(),
        Signer::p256("a").jwk(),
        Signer::ed25519("e").jwk(),
    );
    let number = |bytes: Vec<u8>| json!(b64(&bytes));

    for (jwk, error) in [
        (json!({"kty": "oct", "k": "AAAA"}), KeyError::Kind),
        (
            json!({"kty": "oct", "k": "AAAA", "alg": "ES256"}),
            KeyError::Kind,
        ),
        (with(&rsa, "use", json!("enc")), KeyError::Purpose),
        (with(&rsa, "key_ops", json!(["encrypt"])), KeyError::Purpose),
        // Algorithms for encryption, of another family, or none.
        (with(&rsa, "alg", json!("RSA-OAEP")), KeyError::Algorithm),
        (with(&rsa, "alg", json!("HS256")), KeyError::Algorithm),
        (with(&rsa, "alg", json!("ES256")), KeyError::Algorithm),
        (with(&rsa, "alg", json!("none")), KeyError::Algorithm),
        (with(&p256, "alg", json!("ES384")), KeyError::Algorithm),
        // 1024 bits, leading zero bit, 8200 bits, even modulus.
        (with(&rsa, "n", number(vec![0xff; 128])), KeyError::Weak),
        (with(&rsa, "n", number(vec![0x7f; 256])), KeyError::Weak),
        (with(&rsa, "n", number(vec![0xff; 1025])), KeyError::Weak),
        (with(&rsa, "n", number(vec![0xfe; 256])), KeyError::Weak),
        // Exponents 1 and 2, with a leading zero, and 2048 bits long.
        (with(&rsa, "e", number(vec![1])), KeyError::Weak),
        (with(&rsa, "e", number(vec![2])), KeyError::Weak),
        (with(&rsa, "e", number(vec![0, 1, 0, 1])), KeyError::Weak),
        (with(&rsa, "e", number(vec![0xff; 256])), KeyError::Weak),
        (
            with(&rsa, "n", json!("not base64url!")),
            KeyError::Malformed,
        ),
        (json!({"kty": "RSA", "e": "AQAB"}), KeyError::Malformed),
        // Coordinates that are short, off the curve, or padded.
        (with(&p256, "x", number(vec![1; 31])), KeyError::Malformed),
        (with(&p256, "x", number(vec![1; 32])), KeyError::Curve),
        (
            with(&p256, "x", number([vec![0], vec![1; 32]].concat())),
            KeyError::Malformed,
        ),
        (with(&p256, "crv", json!("secp256k1")), KeyError::Curve),
        (with(&p256, "crv", json!("P-384")), KeyError::Malformed),
        (with(&ed, "crv", json!("X25519")), KeyError::Curve),
        (with(&ed, "x", number(vec![1; 31])), KeyError::Curve),
    ] {
        assert_eq!(parse_key(&jwk).unwrap_err(), error, "{jwk}");
    }
}

#[test]
fn offers_only_allowed_algorithms() {
    let rsa = Signer::rsa("r");
    let jwk: Jwk = serde_json::from_value(rsa.jwk()).unwrap();
    let key = Key::from_jwk(&jwk, &[Algorithm::PS256, Algorithm::ES256]).unwrap();
    assert_eq!(key.algorithms().collect::<Vec<_>>(), [Algorithm::PS256]);
    let token = rsa.sign(&json!({"alg": "RS256"}), b"foo");
    assert_eq!(verify_jws(token.as_bytes(), &key), Err(JwsError::Algorithm));
    assert_eq!(
        Key::from_jwk(&jwk, &[Algorithm::ES256]).unwrap_err(),
        KeyError::Algorithm
    );
}
