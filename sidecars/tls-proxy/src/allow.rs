//! The list of accepted client certificates.

use base64::{Engine, prelude::BASE64_STANDARD};
use chassis::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Identity;

/// The accepted certificates: those that match any entry of any list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Common names, matched exactly.
    pub common_names: Vec<String>,
    /// Organizational units of the subject, matched exactly; any of several in a certificate.
    pub organizational_units: Vec<String>,
    /// DNS names; `*` in `*.example.com` matches one label.
    pub dns: Vec<String>,
    /// URIs; `*` in `spiffe://td/*` matches one segment, `**` in `spiffe://td/**` one or more.
    pub uris: Vec<String>,
    /// SHA-256 hashes of public keys in base64: `sha256/…`.
    pub pins: Vec<String>,
}

impl Allow {
    /// Returns whether every certificate is accepted.
    pub fn is_empty(&self) -> bool {
        self.common_names.is_empty()
            && self.organizational_units.is_empty()
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
            || identity
                .organizational_units
                .iter()
                .any(|unit| self.organizational_units.contains(unit))
            || any_match(&self.dns, &identity.dns, dns_matches)
            || any_match(&self.uris, &identity.uris, uri_matches)
            || self
                .pins
                .iter()
                .any(|pin| parse_pin(pin) == Some(identity.key_sha256))
    }

    pub(crate) fn problems(&self, problems: &mut Vec<Problem>) {
        let exact = [
            ("allow.common_names", &self.common_names),
            ("allow.organizational_units", &self.organizational_units),
        ];
        for (setting, values) in exact {
            // An empty value, such as an unset variable in a template, would admit certificates with an empty name.
            if values.iter().any(String::is_empty) {
                problems.push(Problem::new(
                    setting,
                    "contains an empty value",
                    "remove it, or write the value as the certificate has it",
                ));
            }
        }

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

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::identity::tests::identity;

    #[test]
    fn any_matching_entry_accepts_a_certificate() {
        let app = identity(
            "coins",
            &["app.example.com"],
            &["spiffe://td/ns/prod/sa/coins"],
        );
        let app = Identity {
            organizational_units: vec!["Coins".into(), "Prod".into()],
            ..app
        };
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
        assert!(allow(|a| a.organizational_units.push("Coins".into())));
        assert!(allow(|a| a.organizational_units.push("Prod".into())));
        // Another unit, another case, and a part of one.
        assert!(!allow(|a| a.organizational_units.push("Other".into())));
        assert!(!allow(|a| a.organizational_units.push("prod".into())));
        assert!(!allow(|a| a.organizational_units.push("Pro".into())));
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
            common_names: vec![String::new()],
            organizational_units: vec![String::new()],
        };

        let mut problems = Vec::new();
        allow.problems(&mut problems);
        // Five URIs, five DNS names, one pin, two empty values.
        assert_eq!(problems.len(), 13);
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
    }
}
