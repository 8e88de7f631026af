//! Signature vectors in the style of Project Wycheproof: for every supported algorithm, valid and
//! invalid forms, each with a name. jsonwebtoken checks each of them too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use auth_filter::jws::{Algorithm, Jwk, Key, verify_jws};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jsonwebtoken as theirs;
use serde_json::{Value, json};
use support::signer::{Signer, b64};

/// The expected result of a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Valid,
    Invalid,
}

use Expected::{Invalid, Valid};

fn key(jwk: &Value) -> Key {
    let jwk: Jwk = serde_json::from_value(jwk.clone()).unwrap();
    Key::from_jwk(&jwk, &Algorithm::ALL).unwrap()
}

/// Verifies a token, also with jsonwebtoken, which does not support P-521.
fn check_vector(name: &str, token: &str, jwk: &Value, alg: &str, expected: Expected) {
    let ours = verify_jws(token.as_bytes(), &key(jwk)).is_ok();
    assert_eq!(ours, expected == Valid, "{alg}: {name}");
    let (Ok(alg), Ok(jwk)) = (alg.parse(), serde_json::from_value(jwk.clone())) else {
        return;
    };
    let decoding = theirs::DecodingKey::from_jwk(&jwk).unwrap();
    let signature = token.rsplit_once('.').unwrap();
    let second = theirs::crypto::verify(signature.1, signature.0.as_bytes(), &decoding, alg);

    // jsonwebtoken's function gets only the signature, so it cannot see errors in header and form.
    if expected == Valid || !ours && name.starts_with("signature") {
        assert_eq!(
            second.unwrap_or(false),
            ours,
            "{alg:?}: {name}, by jsonwebtoken"
        );
    }
}

fn signers() -> Vec<(Signer, &'static str)> {
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let mut all: Vec<_> = rsa.map(|alg| (Signer::rsa("k"), alg)).into();
    all.push((Signer::p256("k"), "ES256"));
    all.push((Signer::p384("k"), "ES384"));
    all.push((Signer::p521("k"), "ES512"));
    all.push((Signer::ed25519("k"), "EdDSA"));
    all
}

#[test]
fn accepts_every_valid_form() {
    for (signer, alg) in signers() {
        let jwk = signer.jwk();
        // Around the block sizes of SHA-256 (64 bytes) and SHA-512 (128 bytes) with their padding.
        for length in [0, 1, 2, 3, 55, 56, 63, 64, 65, 111, 112, 127, 128, 1000] {
            let header = json!({"alg": alg}).to_string();
            let token = signer.sign_text(&header, &vec![0xa5; length], alg);
            check_vector(&format!("{length} bytes"), &token, &jwk, alg, Valid);
        }

        for (name, header) in [
            ("a key id", format!(r#"{{"alg":"{alg}","kid":"k"}}"#)),
            ("white space", format!("{{ \"alg\" :\n\t\"{alg}\" }}")),
            ("an escaped name", format!(r#"{{"\u0061lg":"{alg}"}}"#)),
            (
                "unknown members",
                format!(r#"{{"alg":"{alg}","x":[{{}}],"jku":"http://x"}}"#),
            ),
        ] {
            let token = signer.sign_text(&header, b"foo", alg);
            check_vector(name, &token, &jwk, alg, Valid);
        }
    }
}

#[test]
fn rejects_every_invalid_form() {
    for (signer, alg) in signers() {
        let jwk = signer.jwk();
        let header = json!({"alg": alg}).to_string();
        let token = signer.sign_text(&header, b"foo", alg);
        let (signed, encoded) = token.rsplit_once('.').unwrap();
        let signature = signer.signature(alg, signed.as_bytes());
        let with = |signature: &[u8]| format!("{signed}.{}", b64(signature));
        let mut vectors = vec![
            ("signature: none".to_owned(), with(&[])),
            ("signature: one byte".to_owned(), with(&[1])),
            (
                "signature: all zero".to_owned(),
                with(&vec![0; signature.len()]),
            ),
            (
                "signature: all ones".to_owned(),
                with(&vec![0xff; signature.len()]),
            ),
            ("signature: a byte less".to_owned(), with(&signature[1..])),
            (
                "signature: cut".to_owned(),
                with(&signature[..signature.len() - 1]),
            ),
            (
                "signature: a zero before".to_owned(),
                with(&[&[0], &signature[..]].concat()),
            ),
            (
                "signature: a zero behind".to_owned(),
                with(&[&signature[..], &[0]].concat()),
            ),
            (
                "signature: twice".to_owned(),
                with(&[&signature[..], &signature].concat()),
            ),
            ("signature: backwards".to_owned(), {
                with(&signature.iter().rev().copied().collect::<Vec<_>>())
            }),
            (
                "form: standard base64".to_owned(),
                format!("{signed}.{}", STANDARD.encode(&signature)),
            ),
            ("form: a space".to_owned(), format!("{signed}. {encoded}")),
            ("form: a line end".to_owned(), format!("{token}\n")),
            ("form: a fourth part".to_owned(), format!("{token}.")),
            ("form: a part less".to_owned(), signed.to_owned()),
        ];

        let padded = URL_SAFE.encode(&signature);
        if padded.ends_with('=') {
            vectors.push(("form: padding".to_owned(), format!("{signed}.{padded}")));
        }

        let standard = STANDARD.encode(&signature);
        // Without `+` and `/` both alphabets produce the same text, which is valid.
        vectors.retain(|(name, _)| name != "form: standard base64" || standard != b64(&signature));
        // One flipped bit in every byte.
        for at in 0..signature.len() {
            let mut modified = signature.clone();
            modified[at] ^= 1 << (at % 8);
            vectors.push((format!("signature: byte {at} modified"), with(&modified)));
        }

        for (what, changed) in [
            ("alg", json!({"alg": alg, "x": 1})),
            ("case", json!({"alg": alg.to_lowercase()})),
        ] {
            let changed = b64(changed.to_string().as_bytes());
            let payload = signed.split_once('.').unwrap().1;
            let token = format!("{changed}.{payload}.{encoded}");
            vectors.push((format!("header: {what}"), token));
        }

        if alg.starts_with("ES") {
            let half = signature.len() / 2;
            let swapped = [&signature[half..], &signature[..half]].concat();
            vectors.push(("signature: r and s swapped".to_owned(), with(&swapped)));

            // r or s of zero must be rejected before verification (SEC 1 4.1.4).
            for (name, zero) in [("r", 0..half), ("s", half..signature.len())] {
                let mut modified = signature.clone();
                modified[zero].fill(0);
                vectors.push((format!("signature: {name} zero"), with(&modified)));
            }
        }

        for (name, token) in vectors {
            check_vector(&name, &token, &jwk, alg, Invalid);
        }
    }
}

/// Tokens of one algorithm, verified with a key for another one only.
#[test]
fn rejects_signatures_of_another_algorithm() {
    let signers = signers();
    for (signer, alg) in &signers {
        let mut jwk = signer.jwk();
        for (_, other) in signers.iter().filter(|(_, other)| other != alg) {
            // Signed as `alg` with `other` in the header; the key is for `other` where possible.
            let token = signer.sign_text(&json!({"alg": other}).to_string(), b"foo", alg);
            let same_kind = alg[1..2] == other[1..2] && alg.starts_with(['R', 'P']);
            if same_kind && other.starts_with(['R', 'P']) {
                jwk["alg"] = json!(other);
                check_vector(
                    "signature: of another algorithm",
                    &token,
                    &jwk,
                    other,
                    Invalid,
                );
            }

            jwk.as_object_mut().unwrap().remove("alg");
            assert!(
                verify_jws(token.as_bytes(), &key(&jwk)).is_err(),
                "{alg} as {other}"
            );
        }
    }
}

/// Malformed RSA blocks: the decrypted signature is close to PKCS #1 (RFC 8017 section 9.2), but
/// wrong enough for forgery (Bleichenbacher 2006).
#[test]
fn rejects_malformed_rsa_blocks() {
    if Command::new("openssl").arg("version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: rejects_malformed_rsa_blocks: it needs openssl"
        );
        return;
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let make = [
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
    ];

    openssl(&[&make[..], &[path.to_str().unwrap()]].concat(), b"");
    let modulus = openssl(
        &["rsa", "-in", path.to_str().unwrap(), "-noout", "-modulus"],
        b"",
    );
    let modulus = String::from_utf8(modulus).unwrap();
    let modulus = modulus.trim().strip_prefix("Modulus=").unwrap();
    let n: Vec<u8> = (0..modulus.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&modulus[at..at + 2], 16).unwrap())
        .collect();
    let jwk = json!({"kty": "RSA", "alg": "RS256", "n": b64(&n), "e": "AQAB"});

    let signed = format!("{}.{}", b64(br#"{"alg":"RS256"}"#), b64(b"foo"));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed.as_bytes());
    let digest = digest.as_ref();

    // DigestInfo of SHA-256 with and without the required NULL, and with the id of SHA-512.
    let with_null = &[
        0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
    ][..];
    let without_null = &[
        0x30, 0x2f, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 4, 0x20,
    ][..];
    let sha512 = &[
        0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x20,
    ][..];

    let long_form = &[
        0x30, 0x81, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
    ][..];
    let block = |kind: u8, fill: u8, info: &[u8], after: &[u8]| {
        let fixed = 3 + info.len() + digest.len() + after.len();
        [
            &[0, kind][..],
            &vec![fill; 256 - fixed],
            &[0],
            info,
            digest,
            after,
        ]
        .concat() as Vec<u8>
    };

    // Garbage behind the digest gives a forger with exponent 3 free bytes.
    let short = |padding: usize, info: &[u8]| {
        let garbage = vec![0x5a; 256 - 3 - padding - info.len() - digest.len()];
        [
            &[0, 1][..],
            &vec![0xff; padding],
            &[0],
            info,
            digest,
            &garbage,
        ]
        .concat() as Vec<u8>
    };

    let mut modified = block(1, 0xff, with_null, b"");
    modified[20] = 0xfe;
    for (name, block, expected) in [
        (
            "signature: as it should be",
            block(1, 0xff, with_null, b""),
            Valid,
        ),
        (
            "signature: block type 0",
            block(0, 0, with_null, b""),
            Invalid,
        ),
        (
            "signature: block type 2",
            block(2, 0xff, with_null, b""),
            Invalid,
        ),
        (
            "signature: padding of zeros",
            block(1, 0, with_null, b""),
            Invalid,
        ),
        ("signature: one modified byte of padding", modified, Invalid),
        (
            "signature: the id of SHA-512",
            block(1, 0xff, sha512, b""),
            Invalid,
        ),
        (
            "signature: no NULL",
            block(1, 0xff, without_null, b""),
            Invalid,
        ),
        (
            "signature: a length in long form",
            block(1, 0xff, long_form, b""),
            Invalid,
        ),
        (
            "signature: no DigestInfo",
            block(1, 0xff, b"", b""),
            Invalid,
        ),
        (
            "signature: a byte behind the digest",
            block(1, 0xff, with_null, &[0]),
            Invalid,
        ),
        (
            "signature: short padding, garbage behind",
            short(8, with_null),
            Invalid,
        ),
        (
            "signature: no padding, garbage behind",
            short(0, with_null),
            Invalid,
        ),
    ] {
        // Decryption without padding is the raw private key operation.
        let how = [
            "pkeyutl",
            "-decrypt",
            "-inkey",
            path.to_str().unwrap(),
            "-pkeyopt",
            "rsa_padding_mode:none",
        ];

        let token = format!("{signed}.{}", b64(&openssl(&how, &block)));
        check_vector(name, &token, &jwk, "RS256", expected);
    }

    pss(&path, &n);
}

/// PSS salts of another length than the digest's (RFC 7518 section 3.5 requires equal lengths).
fn pss(path: &Path, n: &[u8]) {
    let jwk = json!({"kty": "RSA", "alg": "PS256", "n": b64(n), "e": "AQAB"});
    let signed = format!("{}.{}", b64(br#"{"alg":"PS256"}"#), b64(b"foo"));
    for (length, expected) in [
        ("32", Valid),
        ("0", Invalid),
        ("20", Invalid),
        ("64", Invalid),
    ] {
        let salt = format!("rsa_pss_saltlen:{length}");
        let how = [
            "dgst",
            "-sha256",
            "-sign",
            path.to_str().unwrap(),
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            &salt,
        ];

        let token = format!("{signed}.{}", b64(&openssl(&how, signed.as_bytes())));
        check_vector(
            &format!("signature: a salt of {length}"),
            &token,
            &jwk,
            "PS256",
            expected,
        );
    }
}

fn openssl(arguments: &[&str], given: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(given).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}
