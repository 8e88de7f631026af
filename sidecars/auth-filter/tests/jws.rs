//! The signature layer against everything that has ever confused one. No claims here: payloads are
//! plain bytes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use auth_filter::jws::{Algorithm, HeaderFault, Jwk, Jws, JwsFault, Key, KeyFault, verify_jws};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::signer::{Signer, b64};

fn key_of(jwk: &Value) -> Result<Key, KeyFault> {
    Key::from_jwk(
        &serde_json::from_value::<Jwk>(jwk.clone()).unwrap(),
        &Algorithm::ALL,
    )
}

fn key(signer: &Signer) -> Key {
    key_of(&signer.jwk()).unwrap()
}

fn with(jwk: &Value, name: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = value;
    jwk
}

#[test]
fn accepts_every_algorithm_it_offers() {
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
fn the_algorithm_comes_from_the_key() {
    let rsa = Signer::rsa("r");
    let pinned = key_of(&with(&rsa.jwk(), "alg", json!("PS256"))).unwrap();
    let good = rsa.sign(&json!({"alg": "PS256"}), b"foo");
    assert!(verify_jws(good.as_bytes(), &pinned).is_ok());

    for alg in ["RS256", "PS384"] {
        let token = rsa.sign(&json!({"alg": alg}), b"foo");
        assert_eq!(
            verify_jws(token.as_bytes(), &pinned),
            Err(JwsFault::Algorithm),
            "{alg}"
        );
    }

    // Signed as RS256 while the header says PS256: the name fits and the signature does not.
    let lie = rsa.sign_text(r#"{"alg":"PS256"}"#, b"foo", "RS256");
    assert_eq!(
        verify_jws(lie.as_bytes(), &pinned),
        Err(JwsFault::Signature)
    );
}

#[test]
fn refuses_none_in_every_spelling() {
    let key = key(&Signer::p256("a"));
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "none\u{0}"] {
        let header = b64(json!({"alg": alg}).to_string().as_bytes());
        for signature in ["", "AA"] {
            let token = format!("{header}.{}.{signature}", b64(b"foo"));
            assert_eq!(
                verify_jws(token.as_bytes(), &key),
                Err(JwsFault::Algorithm),
                "{alg:?}"
            );
        }
    }
}

#[test]
fn refuses_hmac_keyed_with_the_public_key() {
    let rsa = Signer::rsa("r");
    let jwk = rsa.jwk();
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
            Err(JwsFault::Algorithm)
        );
    }
}

#[test]
fn refuses_a_key_of_another_family_and_another_key_of_the_same() {
    let (rsa, p256, p384) = (Signer::rsa("r"), Signer::p256("a"), Signer::p384("b"));
    let token = p256.sign(&json!({"alg": "ES256"}), b"foo");
    assert_eq!(
        verify_jws(token.as_bytes(), &key(&rsa)),
        Err(JwsFault::Algorithm)
    );
    assert_eq!(
        verify_jws(token.as_bytes(), &key(&p384)),
        Err(JwsFault::Algorithm)
    );

    assert_eq!(
        verify_jws(token.as_bytes(), &key(&Signer::p256("a"))),
        Err(JwsFault::Signature)
    );
}

#[test]
fn refuses_der_zero_short_and_long_elliptic_signatures() {
    let signer = Signer::p256("a");
    let key = key(&signer);
    let signed = format!("{}.{}", b64(br#"{"alg":"ES256"}"#), b64(b"foo"));
    let jwk = signer.jwk();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
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
            Err(JwsFault::Signature),
            "{signature:?}"
        );
    }

    assert!(verify_jws(format!("{signed}.{}", b64(&good)).as_bytes(), &key).is_ok());
}

#[test]
fn refuses_a_changed_header_payload_or_signature() {
    let signer = Signer::ed25519("e");
    let token = signer.sign(&json!({"alg": "EdDSA", "kid": "e"}), b"foo");
    let parts: Vec<_> = token.split('.').collect();

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
            Err(JwsFault::Signature)
        );
    }
}

#[test]
fn refuses_headers_that_ask_for_more() {
    let signer = Signer::p256("a");
    for (header, fault) in [
        (
            json!({"alg": "ES256", "crit": ["x"], "x": 1}),
            HeaderFault::Critical,
        ),
        (json!({"alg": "ES256", "crit": []}), HeaderFault::Critical),
        (
            json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
            HeaderFault::Critical,
        ),
        (
            json!({"alg": "ES256", "b64": false}),
            HeaderFault::Unencoded,
        ),
        (
            json!({"alg": "ES256", "zip": "DEF"}),
            HeaderFault::Encrypted,
        ),
        (
            json!({"alg": "ES256", "enc": "A128GCM"}),
            HeaderFault::Encrypted,
        ),
    ] {
        let token = signer.sign(&header, b"foo");
        let fault = Err(JwsFault::Header(fault));
        assert_eq!(
            verify_jws(token.as_bytes(), &key(&signer)),
            fault,
            "{header}"
        );
    }
}

#[test]
fn keys_carried_by_the_token_are_not_looked_at() {
    let (ours, theirs) = (Signer::p256("a"), Signer::p256("a"));
    let header = json!({
        "alg": "ES256", "kid": "a", "jwk": theirs.jwk(),
        "jku": "https://evil.test/jwks", "x5u": "https://evil.test/x5u", "x5c": ["AAAA"],
    });
    let token = theirs.sign(&header, b"foo");

    assert_eq!(
        verify_jws(token.as_bytes(), &key(&ours)),
        Err(JwsFault::Signature)
    );
    assert!(verify_jws(ours.sign(&header, b"foo").as_bytes(), &key(&ours)).is_ok());
}

#[test]
fn refuses_what_is_no_compact_token() {
    let signer = Signer::p256("a");
    let key = key(&signer);
    let token = signer.sign(&json!({"alg": "ES256"}), b"foo");

    for (text, fault) in [
        (String::new(), JwsFault::Parts),
        ("a.b".into(), JwsFault::Parts),
        (format!("{token}.x"), JwsFault::Parts),
        ("a.b.c.d.e".into(), JwsFault::Parts),
        (
            json!({"payload": "", "signatures": []}).to_string(),
            JwsFault::Parts,
        ),
        (format!("{token}="), JwsFault::Encoding),
        (format!("{token} "), JwsFault::Encoding),
        (format!(" {token}"), JwsFault::Encoding),
        (format!("{token}\n"), JwsFault::Encoding),
        (token.replace('.', "+."), JwsFault::Encoding),
        ("x".repeat(Jws::MAX_BYTES + 1), JwsFault::TooLong),
    ] {
        assert_eq!(verify_jws(text.as_bytes(), &key), Err(fault), "{text}");
    }

    // 64 bytes leave four unused bits in the last character; only one writing of them is taken.
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
fn refuses_keys_that_are_not_for_this() {
    let (rsa, p256, ed) = (
        Signer::rsa("r").jwk(),
        Signer::p256("a").jwk(),
        Signer::ed25519("e").jwk(),
    );
    let number = |bytes: Vec<u8>| json!(b64(&bytes));

    for (jwk, fault) in [
        (json!({"kty": "oct", "k": "AAAA"}), KeyFault::Kind),
        (
            json!({"kty": "oct", "k": "AAAA", "alg": "ES256"}),
            KeyFault::Kind,
        ),
        (with(&rsa, "use", json!("enc")), KeyFault::Purpose),
        (with(&rsa, "key_ops", json!(["encrypt"])), KeyFault::Purpose),
        (with(&rsa, "alg", json!("RSA-OAEP")), KeyFault::Algorithm),
        (with(&rsa, "alg", json!("HS256")), KeyFault::Algorithm),
        (with(&rsa, "alg", json!("ES256")), KeyFault::Algorithm),
        (with(&rsa, "alg", json!("none")), KeyFault::Algorithm),
        (with(&p256, "alg", json!("ES384")), KeyFault::Algorithm),
        (with(&rsa, "n", number(vec![0xff; 128])), KeyFault::Weak),
        (with(&rsa, "n", number(vec![0x7f; 256])), KeyFault::Weak),
        (with(&rsa, "n", number(vec![0xff; 1025])), KeyFault::Weak),
        (with(&rsa, "n", number(vec![0xfe; 256])), KeyFault::Weak),
        (with(&rsa, "e", number(vec![1])), KeyFault::Weak),
        (with(&rsa, "e", number(vec![2])), KeyFault::Weak),
        (with(&rsa, "e", number(vec![0, 1, 0, 1])), KeyFault::Weak),
        (with(&rsa, "e", number(vec![0xff; 256])), KeyFault::Weak),
        (
            with(&rsa, "n", json!("not base64url!")),
            KeyFault::Malformed,
        ),
        (json!({"kty": "RSA", "e": "AQAB"}), KeyFault::Malformed),
        (with(&p256, "x", number(vec![1; 31])), KeyFault::Malformed),
        (with(&p256, "x", number(vec![1; 32])), KeyFault::Curve),
        (
            with(&p256, "x", number([vec![0], vec![1; 32]].concat())),
            KeyFault::Malformed,
        ),
        (with(&p256, "crv", json!("secp256k1")), KeyFault::Curve),
        (with(&p256, "crv", json!("P-384")), KeyFault::Malformed),
        (with(&ed, "crv", json!("X25519")), KeyFault::Curve),
        (with(&ed, "x", number(vec![1; 31])), KeyFault::Curve),
    ] {
        assert_eq!(key_of(&jwk).unwrap_err(), fault, "{jwk}");
    }
}

#[test]
fn only_allowed_algorithms_are_offered() {
    let rsa = Signer::rsa("r");
    let jwk: Jwk = serde_json::from_value(rsa.jwk()).unwrap();
    let key = Key::from_jwk(&jwk, &[Algorithm::PS256, Algorithm::ES256]).unwrap();
    assert_eq!(key.algorithms().collect::<Vec<_>>(), [Algorithm::PS256]);
    let token = rsa.sign(&json!({"alg": "RS256"}), b"foo");
    assert_eq!(verify_jws(token.as_bytes(), &key), Err(JwsFault::Algorithm));
    assert_eq!(
        Key::from_jwk(&jwk, &[Algorithm::ES256]).unwrap_err(),
        KeyFault::Algorithm
    );
}
