//! SPIFFE: the bundle of a trust domain, and the identifiers in X.509 SVIDs.
//!
//! <https://github.com/spiffe/spiffe/tree/main/standards>: "SPIFFE Trust Domain and Bundle", "SPIFFE-ID" and
//! "X509-SVID". A bundle file has one trust domain; federated ones are not supported.

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use crate::certificate::CertificateError;

/// The part of a bundle that concerns X.509: a JWK set (RFC 7517 section 5).
#[derive(Deserialize)]
struct Bundle {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    x5c: Vec<String>,
}

/// Returns the authorities of X.509 SVIDs in a bundle.
pub(crate) fn parse_bundle(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let invalid = |reason| Err(CertificateError::InvalidBundle(reason));
    if bytes.len() > MAX_BUNDLE_BYTES {
        return invalid("it is larger than 1 MiB");
    }
    let Ok(bundle) = serde_json::from_slice::<Bundle>(bytes) else {
        return invalid("it is not a JSON object with `keys`");
    };

    let mut authorities = Vec::new();
    // Section 4.2.2: keys of another use, such as `jwt-svid`, or of none are ignored.
    let keys = bundle.keys.iter();
    for key in keys.filter(|key| key.usage.as_deref() == Some("x509-svid")) {
        // "X509-SVID" section 6.1: exactly one certificate, which is the authority.
        let [certificate] = &key.x5c[..] else {
            return invalid(
                "a key of use `x509-svid` does not have exactly one certificate in `x5c`",
            );
        };
        let Ok(der) = BASE64_STANDARD.decode(certificate) else {
            return invalid("a certificate in `x5c` is not base64");
        };
        authorities.push(der.into());
    }

    if authorities.is_empty() {
        return invalid("it has no key of use `x509-svid`");
    }
    Ok(authorities)
}

/// Returns whether a text is a trust domain ("SPIFFE-ID" section 2.1), such as `prod.example.com`.
pub(crate) fn is_trust_domain(text: &str) -> bool {
    let is_valid = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    !text.is_empty() && text.len() <= 255 && text.bytes().all(is_valid)
}

/// Returns whether the URIs of a certificate are those of an SVID of this trust domain.
///
/// "X509-SVID" section 2: an SVID has exactly one URI; with several, an app could read another one.
pub(crate) fn is_svid_of(trust_domain: &str, uris: &[String]) -> bool {
    let [id] = uris else { return false };
    let path = id
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.strip_prefix(trust_domain))
        .and_then(|rest| rest.strip_prefix('/'));
    // A certificate without a path identifies the trust domain, and no workload.
    id.len() <= MAX_ID_BYTES && path.is_some_and(|path| path.split('/').all(is_path_segment))
}

/// "SPIFFE-ID" section 2.2: no empty or relative segment, and no escapes.
fn is_path_segment(segment: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_valid)
}

const MAX_BUNDLE_BYTES: usize = 1024 * 1024;
/// "SPIFFE-ID" section 2.3.
const MAX_ID_BYTES: usize = 2048;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(bundle: &Value) -> Result<Vec<CertificateDer<'static>>, String> {
        parse_bundle(bundle.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_authorities_of_x509_and_ignores_other_keys() {
        let bundle = json!({
            "spiffe_sequence": 7,
            "spiffe_refresh_hint": 300,
            "keys": [
                { "use": "jwt-svid", "kty": "EC", "kid": "a", "x": "AA", "y": "AA" },
                { "use": "x509-svid", "kty": "EC", "x5c": ["AQID"] },
                { "kty": "RSA", "x5c": ["BAUG"] },
                { "use": "future", "x5c": ["BAUG"] },
                { "use": "x509-svid", "kty": "RSA", "x5c": ["BwgJ"] },
            ],
        });
        let expected: [CertificateDer<'_>; 2] = [vec![1, 2, 3].into(), vec![7, 8, 9].into()];
        assert_eq!(parse(&bundle).unwrap(), expected);
    }

    #[test]
    fn rejects_a_bundle_without_usable_authorities() {
        let key = |x5c: Value| json!({ "keys": [{ "use": "x509-svid", "x5c": x5c }] });
        for (bundle, reason) in [
            (json!({ "keys": [] }), "no key of use `x509-svid`"),
            (json!({ "keys": [{ "use": "jwt-svid" }] }), "no key of use"),
            (json!([]), "not a JSON object"),
            (key(json!([])), "exactly one"),
            (key(json!(["AQID", "AQID"])), "exactly one"),
            (key(json!(["-----BEGIN"])), "not base64"),
        ] {
            let error = parse(&bundle).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let large = vec![b' '; MAX_BUNDLE_BYTES + 1];
        assert!(parse_bundle(&large).is_err());
    }

    #[test]
    fn accepts_one_identifier_of_the_trust_domain() {
        let is_svid = |uris: &[&str]| {
            let uris: Vec<String> = uris.iter().map(ToString::to_string).collect();
            is_svid_of("td.example", &uris)
        };
        assert!(is_svid(&["spiffe://td.example/ns/prod/sa/coins"]));
        for invalid in [
            "spiffe://td.example",
            "spiffe://td.example/",
            "spiffe://td.example.evil/a",
            "spiffe://other/td.example/a",
            "spiffe://td.example/a//b",
            "spiffe://td.example/a/../b",
            "spiffe://td.example/a%2Fb",
            "spiffe://td.example/a?b",
            "spiffe://td.example:443/a",
            "spiffe://user@td.example/a",
            "SPIFFE://td.example/a",
            "spiffe://TD.example/a",
            "https://td.example/a",
        ] {
            assert!(!is_svid(&[invalid]), "{invalid}");
        }
        assert!(!is_svid(&[]));
        assert!(!is_svid(&[
            "spiffe://td.example/a",
            "spiffe://td.example/b"
        ]));
        assert!(!is_svid(&["spiffe://td.example/a", "https://other"]));
    }

    #[test]
    fn a_trust_domain_is_a_lower_case_name() {
        assert!(is_trust_domain("prod_1.example-a.com"));
        for invalid in ["", "spiffe://a", "A", "a/b", "a:1", "*"] {
            assert!(!is_trust_domain(invalid), "{invalid}");
        }
    }
}
