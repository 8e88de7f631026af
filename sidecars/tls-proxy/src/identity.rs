//! The identity in a client certificate, and the list of accepted identities.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use chassis::Problem;
use http::HeaderValue;
use rustls_pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The identity in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The subject, in the form of RFC 4514.
    pub subject: String,
    /// The common name of the subject.
    pub common_name: Option<String>,
    /// The DNS names of the subject alternative name.
    pub dns: Vec<String>,
    /// The URIs of the subject alternative name, such as a SPIFFE ID.
    pub uris: Vec<String>,
    /// SHA-256 of the certificate.
    pub certificate_sha256: [u8; 32],
    /// SHA-256 of the `SubjectPublicKeyInfo`, as in a pin of RFC 7469.
    pub key_sha256: [u8; 32],
    /// The expiry in seconds since 1970.
    pub not_after: i64,
}

/// The accepted certificates: those that match any entry of any list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Common names, matched exactly.
    pub common_names: Vec<String>,
    /// DNS names; `*` in `*.example.com` matches one label.
    pub dns: Vec<String>,
    /// URIs; `*` in `spiffe://td/*` matches one segment, `**` in `spiffe://td/**` one or more.
    pub uris: Vec<String>,
    /// SHA-256 hashes of public keys in base64: `sha256/…`.
    pub pins: Vec<String>,
}

impl Identity {
    /// Parses a certificate; returns `None` if it is malformed.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
        // Bytes after the certificate are not covered by its signature.
        if !rest.is_empty() {
            return None;
        }

        let mut identity = Self {
            subject: parsed.subject().to_string(),
            common_name: parsed
                .subject()
                .iter_common_name()
                .next()
                .and_then(|name| name.as_str().ok().map(str::to_owned)),
            dns: Vec::new(),
            uris: Vec::new(),
            certificate_sha256: sha256(certificate),
            key_sha256: sha256(parsed.public_key().raw),
            not_after: parsed.validity().not_after.timestamp(),
        };

        let names = parsed.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => identity.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => identity.uris.push((*uri).to_owned()),
                _ => {}
            }
        }

        Some(identity)
    }

    /// Returns the value of `x-forwarded-client-cert` in Envoy's format: `Hash=…;Subject="…";URI=…;DNS=…`.
    ///
    /// Bytes that could end a value early, or are invalid in a header, are escaped as `%XX`.
    pub fn to_header(&self) -> Option<HeaderValue> {
        let mut text = String::from("Hash=");
        for byte in self.certificate_sha256 {
            let _ = write!(text, "{byte:02x}");
        }

        // Quoted, because a subject contains commas and spaces.
        let _ = write!(text, ";Subject=\"{}\"", escape(&self.subject));
        for uri in &self.uris {
            let _ = write!(text, ";URI={}", escape_unquoted(uri));
        }

        for name in &self.dns {
            let _ = write!(text, ";DNS={}", escape_unquoted(name));
        }
        HeaderValue::from_str(&text).ok()
    }
}

impl Allow {
    /// Returns whether every certificate is accepted.
    pub fn is_empty(&self) -> bool {
        self.common_names.is_empty()
            && self.dns.is_empty()
            && self.uris.is_empty()
            && self.pins.is_empty()
    }

    /// Returns whether a certificate with this identity is accepted.
    pub fn admits(&self, identity: &Identity) -> bool {
        self.is_empty()
            || identity
                .common_name
                .as_ref()
                .is_some_and(|name| self.common_names.contains(name))
            || any_match(&self.dns, &identity.dns, dns_matches)
            || any_match(&self.uris, &identity.uris, uri_matches)
            || self
                .pins
                .iter()
                .any(|pin| parse_pin(pin) == Some(identity.key_sha256))
    }

    pub(crate) fn problems(&self, problems: &mut Vec<Problem>) {
        for pin in self.pins.iter().filter(|pin| parse_pin(pin).is_none()) {
            problems.push(Problem::new(
                "allow.pins",
                format!("contains `{pin}`, which is not a SHA-256 hash in base64"),
                "compute it with: openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
            ));
        }

        for pattern in self.uris.iter().filter(|pattern| !is_uri_pattern(pattern)) {
            problems.push(Problem::new(
                "allow.uris",
                format!("contains `{pattern}`, in which a star is not a whole segment"),
                "write spiffe://td/ns/*/sa/app, or ** as the last segment",
            ));
        }

        for pattern in self.dns.iter().filter(|pattern| !is_dns_pattern(pattern)) {
            problems.push(Problem::new(
                "allow.dns",
                format!("contains `{pattern}`, in which a star is not the whole first label"),
                "write app.example.com or *.example.com",
            ));
        }
    }
}

fn any_match(patterns: &[String], names: &[String], matches: fn(&str, &str) -> bool) -> bool {
    patterns
        .iter()
        .any(|pattern| names.iter().any(|name| matches(pattern, name)))
}

/// Returns whether a pattern such as `*.example.com` matches a name, ignoring case.
pub(crate) fn dns_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(name),
        Some(parent) => name
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
    }
}

pub(crate) fn is_dns_pattern(pattern: &str) -> bool {
    let rest = pattern.strip_prefix("*.").unwrap_or(pattern);
    !rest.is_empty()
        && rest.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// Returns whether a pattern matches a URI, segment by segment. Case-sensitive, like SPIFFE IDs.
fn uri_matches(pattern: &str, uri: &str) -> bool {
    // The URI comes from the certificate: stars in it match nothing, and empty segments are rejected.
    let mut expected = pattern.split('/').peekable();
    let mut found = uri.split('/');
    let mut at = 0;

    loop {
        match (expected.next(), found.next()) {
            (None, None) => return true,
            (Some("**"), Some(segment)) if expected.peek().is_none() => {
                return !segment.is_empty() && found.all(|segment| !segment.is_empty());
            }
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            // Only the segment between the two slashes of `://` is empty.
            (Some(word), Some(segment)) if word == segment && (at == 1 || !word.is_empty()) => {}
            _ => return false,
        }
        at += 1;
    }
}

fn is_uri_pattern(pattern: &str) -> bool {
    let Some((scheme, rest)) = pattern.split_once("://") else {
        return false;
    };
    let segments: Vec<&str> = rest.split('/').collect();
    let last = segments.len() - 1;

    // No star in the trust domain (index 0), and `**` only as the last segment.
    !scheme.is_empty()
        && !scheme.contains('*')
        && segments.iter().enumerate().all(|(at, segment)| {
            !segment.is_empty()
                && (!segment.contains('*')
                    || (at > 0 && *segment == "*")
                    || (at > 0 && at == last && *segment == "**"))
        })
}

/// Parses a pin, with or without the prefix of RFC 7469.
fn parse_pin(pin: &str) -> Option<[u8; 32]> {
    let pin = pin.strip_prefix("sha256/").unwrap_or(pin);
    BASE64_STANDARD.decode(pin).ok()?.try_into().ok()
}

/// Escapes a value that is not in quotes: a comma would begin the names of another certificate.
fn escape_unquoted(text: &str) -> String {
    escape(text).replace(',', "%2C")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\\\",;%".contains(&byte) || byte == b' ' {
            escaped.push(byte as char);
        } else if byte == b',' {
            // Commas separate the parts of a subject; within quotes they are harmless.
            escaped.push(',');
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }

    escaped
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any as anything, prop_assert, prop_assert_eq, proptest};
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn identity(cn: &str, dns: &[&str], uris: &[&str]) -> Identity {
        let names: Vec<String> = dns.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, cn);
        for uri in uris {
            let uri = SanType::URI((*uri).try_into().unwrap());
            params.subject_alt_names.push(uri);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Identity::from_certificate(certificate.der()).unwrap()
    }

    #[test]
    fn reads_the_names_in_a_certificate() {
        let found = identity("coins", &["a.example"], &["spiffe://td/ns/coins"]);
        assert_eq!(found.common_name.as_deref(), Some("coins"));
        assert_eq!(found.dns, ["a.example"]);
        assert_eq!(found.uris, ["spiffe://td/ns/coins"]);
    }

    #[test]
    fn the_header_has_envoys_format_and_escapes_delimiters() {
        let plain = identity("coins", &["a.example"], &["spiffe://td/a"]);
        let text = plain.to_header().unwrap();
        let text = text.to_str().unwrap();
        let tail = text.split_once(';').unwrap().1;

        assert!(tail.contains("CN=coins"), "{text}");
        assert!(tail.ends_with(";URI=spiffe://td/a;DNS=a.example"), "{text}");
        let malicious = identity("x\";URI=spiffe://td/root;\"\r\nx: y", &[], &[]);
        let text = malicious.to_header().unwrap();
        let text = text.to_str().unwrap();

        assert_eq!(text.matches(";URI=").count(), 0, "{text}");
        assert_eq!(text.matches('"').count(), 2, "{text}");
    }

    #[test]
    fn a_comma_in_a_name_does_not_begin_another_certificate() {
        let malicious = identity("x", &[], &["spiffe://td/a,Hash=00;URI=spiffe://td/root"]);
        let text = malicious.to_header().unwrap();
        let names = text.to_str().unwrap().split_once(";URI=").unwrap().1;
        assert_eq!(names, "spiffe://td/a%2CHash=00%3BURI=spiffe://td/root");
    }

    #[test]
    fn any_matching_entry_accepts_a_certificate() {
        let app = identity(
            "coins",
            &["app.example.com"],
            &["spiffe://td/ns/prod/sa/coins"],
        );
        let allow = |change: fn(&mut Allow)| {
            let mut allow = Allow::default();
            change(&mut allow);
            let mut problems = Vec::new();
            allow.problems(&mut problems);
            assert!(problems.is_empty());
            allow.admits(&app)
        };

        assert!(Allow::default().admits(&app));
        assert!(allow(|a| a.common_names.push("coins".into())));
        // Common names are compared exactly, DNS names without case, and a star matches one label.
        assert!(!allow(|a| a.common_names.push("Coins".into())));
        assert!(allow(|a| a.dns.push("*.Example.com".into())));
        assert!(!allow(|a| a.dns.push("*.com".into())));
        assert!(!allow(|a| a.dns.push("example.com".into())));
        assert!(allow(|a| a.uris.push("spiffe://td/ns/*/sa/coins".into())));
        assert!(allow(|a| a.uris.push("spiffe://td/**".into())));
        // One segment only, while the path has four.
        assert!(!allow(|a| a.uris.push("spiffe://td/*".into())));

        assert!(!allow(|a| a.uris.push("spiffe://other/**".into())));
        let pin = format!("sha256/{}", BASE64_STANDARD.encode(app.key_sha256));
        let pinned = Allow {
            pins: vec![pin],
            ..Allow::default()
        };

        assert!(pinned.admits(&app));
        // The same name with another key.
        assert!(!pinned.admits(&identity("coins", &[], &[])));
    }

    #[test]
    fn rejects_malformed_patterns() {
        let allow = Allow {
            uris: [
                // A partial segment, a star as trust domain, no scheme, `**` in the middle, an empty segment.
                "spiffe://td/a*",
                "spiffe://*/a",
                "td/*",
                "spiffe://td/**/a",
                "spiffe://td//a",
            ]
            .map(str::to_owned)
            .to_vec(),
            dns: ["*", "*.*.a", "a.*", "", "a..b"]
                .map(str::to_owned)
                .to_vec(),
            pins: vec!["sha256/abc".into()],
            ..Allow::default()
        };

        let mut problems = Vec::new();
        allow.problems(&mut problems);
        // Five URIs, five DNS names, one pin.
        assert_eq!(problems.len(), 11);
    }

    proptest! {
        #[test]
        fn a_pattern_without_stars_matches_itself_alone(a in "spiffe://[a-z]{1,3}(/[a-z]{1,3}){0,3}", b in "spiffe://[a-z]{1,3}(/[a-z]{1,3}){0,3}") {
            prop_assert!(uri_matches(&a, &a));
            prop_assert_eq!(uri_matches(&a, &b), a == b);
        }

        #[test]
        fn a_star_never_reaches_another_trust_domain(uri in ".{0,40}") {
            if uri_matches("spiffe://td/**", &uri) {
                prop_assert!(uri.starts_with("spiffe://td/"));
                prop_assert!(!uri.contains("/../") || uri.split('/').any(|s| s == ".."));
            }
        }

        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(anything::<u8>(), 0..300)) {
            let _ = Identity::from_certificate(&CertificateDer::from(bytes));
        }
    }
}
