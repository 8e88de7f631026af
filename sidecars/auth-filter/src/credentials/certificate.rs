//! Client certificates, forwarded by the proxy in front in `x-forwarded-client-cert`.
//!
//! The proxy has verified them; this module maps their names to identities. The header is accepted
//! only from the loopback of this task, because any client can send one. Its format is Envoy's
//! (HTTP connection manager, "x-forwarded-client-cert"), which tls-proxy writes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::http::Peer;
use http::HeaderName;
use http::request::Parts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::single_header;
use crate::identity::{Confirmation, Credential, Identity};
use crate::rejection::Rejection;

/// The header with the certificate's names.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// An accepted client certificate and its scopes; every given name must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateRule {
    /// Identity for the app; if absent the URI, DNS name or subject, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A URI in the certificate, `spiffe://example.org/job`; a trailing `*` matches any suffix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// A DNS name in the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// The subject, as tls-proxy writes it: `CN=job, O=Example`, with a quote as `%22`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The SHA-256 of the certificate, in 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The granted scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Whether tokens must be bound to the client certificate of their connection (RFC 8705).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateBinding {
    /// Ignores the claim `cnf`.
    #[default]
    Ignore,
    /// Rejects a token with `cnf` unless it names the certificate.
    Verify,
    /// Rejects every token that is not bound to the certificate.
    Require,
}

impl CertificateBinding {
    /// Rejects an identity from a token that is not bound as required.
    pub(crate) fn check(self, request: &Parts, identity: &Identity) -> Result<(), Rejection> {
        let bound = match (self, &identity.confirmation) {
            (Self::Ignore, _) | (Self::Verify, None) => true,
            (_, Some(Confirmation::Certificate(expected))) => {
                client_certificate_hash(request).as_ref() == Some(expected)
            }
            // A token for DPoP is no bearer token (RFC 9449 section 7.2).
            (_, Some(Confirmation::Other)) | (Self::Require, None) => false,
        };
        if bound {
            Ok(())
        } else {
            Err(Rejection::Confirmation)
        }
    }
}

/// Returns the SHA-256 of the client certificate that the proxy in this task verified, in base64url.
fn client_certificate_hash(request: &Parts) -> Option<String> {
    if !is_from_this_task(request) {
        return None;
    }
    let header = single_header(&request.headers, &HEADER)??;
    let hash = CertificateNames::parse(header)?.hash?;
    let digits = hash.as_bytes().chunks_exact(2).map(|pair| {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    });

    let bytes: Vec<u8> = digits.collect::<Option<_>>()?;
    (hash.len() == 64).then(|| URL_SAFE_NO_PAD.encode(bytes))
}

/// Why a certificate is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The header is duplicated or malformed.
    #[error("`x-forwarded-client-cert` does not describe exactly one certificate")]
    Malformed,
    /// The header comes from outside of this task.
    #[error("`x-forwarded-client-cert` is not from the proxy in this task")]
    UntrustedPeer,
    /// No rule matches it.
    #[error("no rule matches this client certificate")]
    Unknown,
}

/// The accepted certificates.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<[CertificateRule]>);

impl CertificateRule {
    /// Returns whether the rule restricts the certificate at all.
    pub(crate) fn is_specific(&self) -> bool {
        [&self.uri, &self.dns, &self.subject, &self.sha256]
            .iter()
            .any(|name| {
                name.as_ref()
                    .is_some_and(|name| !name.is_empty() && name != "*")
            })
    }

    fn matches(&self, names: &CertificateNames) -> bool {
        let uri = |expected: &String| {
            names
                .uris
                .iter()
                .any(|uri| match expected.strip_suffix('*') {
                    Some(begin) => uri.starts_with(begin),
                    None => uri == expected,
                })
        };

        let hash = |expected: &String| {
            let hash = names.hash.as_ref();
            hash.is_some_and(|hash| hash.eq_ignore_ascii_case(expected))
        };
        let dns = |expected: &String| {
            let mut dns_names = names.dns.iter();
            dns_names.any(|name| name.eq_ignore_ascii_case(expected))
        };

        self.uri.as_ref().is_none_or(uri)
            && self.dns.as_ref().is_none_or(dns)
            && self.sha256.as_ref().is_none_or(hash)
            && self
                .subject
                .as_ref()
                .is_none_or(|expected| names.subject.as_ref() == Some(expected))
    }
}

impl Certificates {
    /// Creates a list of rules; the first match applies.
    pub fn new(rules: Vec<CertificateRule>) -> Self {
        Self(rules.into())
    }

    /// Returns the identity of a certificate.
    pub fn identity(&self, request: &Parts, header: &[u8]) -> Result<Identity, CertificateError> {
        if !is_from_this_task(request) {
            return Err(CertificateError::UntrustedPeer);
        }

        let names = CertificateNames::parse(header).ok_or(CertificateError::Malformed)?;
        let rule = self
            .0
            .iter()
            .find(|rule| rule.matches(&names))
            .ok_or(CertificateError::Unknown)?;
        let name = rule
            .id
            .clone()
            .or_else(|| names.uris.first().cloned())
            .or_else(|| names.dns.first().cloned())
            .or(names.subject);

        let mut identity =
            Identity::new(Credential::Certificate, name, "client-certificate".into());
        identity.scopes.clone_from(&rule.scopes);
        Ok(identity)
    }
}

/// Returns whether the previous hop is in this task: all containers of a Fargate task share one
/// network namespace and thus one loopback.
pub(crate) fn is_from_this_task(request: &Parts) -> bool {
    let peer = request.extensions.get::<Peer>();
    peer.is_some_and(|peer| peer.address.ip().to_canonical().is_loopback())
}

/// The contents of the header.
#[derive(Debug, Default, PartialEq, Eq)]
struct CertificateNames {
    hash: Option<String>,
    subject: Option<String>,
    uris: Vec<String>,
    dns: Vec<String>,
}

impl CertificateNames {
    /// Parses `Hash=…;Subject="…";URI=…;DNS=…`. A list of several certificates is rejected: another
    /// hop wrote one of them.
    fn parse(header: &[u8]) -> Option<Self> {
        let mut rest = std::str::from_utf8(header).ok()?;
        let mut names = Self::default();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parse_value(after)?;
            // Anything but `;` after a value, and a `;` at the end, is malformed.
            rest = match after.strip_prefix(';') {
                Some(more) if !more.is_empty() => more,
                None if after.is_empty() => "",
                _ => return None,
            };

            match name {
                "Hash" if names.hash.is_none() => names.hash = Some(value),
                "Subject" if names.subject.is_none() => names.subject = Some(value),
                "URI" => names.uris.push(value),
                "DNS" => names.dns.push(value),
                // Keys of Envoy's format without a use here.
                "By" | "Cert" | "Chain" => {}
                _ => return None,
            }
        }

        (names != Self::default()).then_some(names)
    }
}

/// Returns a value, quoted or not, and the rest.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', '"']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };

    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }

    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::http::Protocol;
    use http::Request;

    fn identify(rules: &str, header: &str, peer: &str) -> Result<Identity, CertificateError> {
        let rules = serde_json::from_str(rules).unwrap();
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer {
            address: peer.parse().unwrap(),
            protocol: Protocol::Http1,
        });
        let request = request.into_parts().0;
        Certificates::new(rules).identity(&request, header.as_bytes())
    }

    const LOOPBACK: &str = "127.0.0.1:50000";
    const GOOD: &str =
        r#"Hash=ab;Subject="CN=job,O=\"A; B\"";URI=spiffe://a.test/ns/job;DNS=job.a.test"#;

    #[test]
    fn matches_certificates_by_any_name() {
        for (rule, subject) in [
            (
                r#"{"uri":"spiffe://a.test/ns/job"}"#,
                "spiffe://a.test/ns/job",
            ),
            (r#"{"uri":"spiffe://a.test/ns/*","id":"job"}"#, "job"),
            (r#"{"dns":"JOB.a.test"}"#, "spiffe://a.test/ns/job"),
            (
                r#"{"subject":"CN=job,O=\"A; B\""}"#,
                "spiffe://a.test/ns/job",
            ),
            (
                r#"{"sha256":"AB","dns":"job.a.test"}"#,
                "spiffe://a.test/ns/job",
            ),
        ] {
            let identity = identify(&format!("[{rule}]"), GOOD, LOOPBACK).unwrap();
            assert_eq!(identity.subject.as_deref(), Some(subject), "{rule}");
        }

        for rule in [
            // A prefix without `*`, a parent domain, and one of two names that differs.
            r#"{"uri":"spiffe://a.test/ns"}"#,
            r#"{"dns":"a.test"}"#,
            r#"{"sha256":"ab","dns":"other.test"}"#,
            r#"{"subject":"CN=job"}"#,
        ] {
            let found = identify(&format!("[{rule}]"), GOOD, LOOPBACK);
            assert_eq!(found, Err(CertificateError::Unknown), "{rule}");
        }
    }

    /// Written by tls-proxy for a certificate with the subject `CN = "job, inc"`, `O = A"B`.
    #[test]
    fn parses_the_format_of_tls_proxy() {
        let header = r#"Hash=49d03a8e722d53fa0eacfac0d033ff3993020d4b2cdf3e586c2471114b3100f6;Subject="CN=job, inc, O=A%22B";URI=spiffe://a.test/ns/job;DNS=job.a.test"#;
        for rule in [
            r#"{"subject":"CN=job, inc, O=A%22B"}"#,
            r#"{"uri":"spiffe://a.test/ns/job","dns":"job.a.test"}"#,
            r#"{"sha256":"49d03a8e722d53fa0eacfac0d033ff3993020d4b2cdf3e586c2471114b3100f6"}"#,
        ] {
            let identity = identify(&format!("[{rule}]"), header, LOOPBACK).unwrap();
            assert_eq!(identity.subject.as_deref(), Some("spiffe://a.test/ns/job"));
        }
    }

    #[test]
    fn accepts_the_header_only_from_loopback() {
        let rule = r#"[{"dns":"job.a.test"}]"#;
        for peer in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(identify(rule, GOOD, peer).is_ok(), "{peer}");
        }
        // 169.254.170.2 is the task metadata endpoint of ECS: link-local, but not this task.
        for peer in ["10.0.0.7:1", "169.254.170.2:1", "[::2]:1"] {
            assert_eq!(
                identify(rule, GOOD, peer),
                Err(CertificateError::UntrustedPeer)
            );
        }
    }

    #[test]
    fn rejects_headers_without_exactly_one_certificate() {
        for header in [
            "",
            "Hash",
            "Hash=a;",
            "Hash=a,Hash=b;DNS=job.a.test",
            // A comma separates certificates (one per hop); keys are case-sensitive; quotes must
            // close.
            "DNS=x,DNS=job.a.test",
            "Hash=a;Hash=b",
            "Subject=\"CN=job",
            "DNS=a\"b",
            "dns=job.a.test",
            "Subject=\"a\"x;DNS=job.a.test",
        ] {
            let found = identify(r#"[{"dns":"job.a.test"}]"#, header, LOOPBACK);
            assert_eq!(found, Err(CertificateError::Malformed), "{header}");
        }
    }
}
