//! The identity in a client certificate.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The identity in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The subject, in the form of RFC 4514.
    pub subject: String,
    /// The common name of the subject.
    pub common_name: Option<String>,
    /// The organizational units of the subject.
    pub organizational_units: Vec<String>,
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
            organizational_units: parsed
                .subject()
                .iter_organizational_unit()
                // Other encodings than ASCII and UTF-8 are not compared, so they match nothing.
                .filter_map(|unit| unit.as_str().ok().map(str::to_owned))
                .collect(),
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
        self.to_header_with("")
    }

    /// Returns the same with more elements after the hash, each with a semicolon in front.
    pub(crate) fn to_header_with(&self, elements: &str) -> Option<HeaderValue> {
        let mut text = String::from("Hash=");
        for byte in self.certificate_sha256 {
            let _ = write!(text, "{byte:02x}");
        }

        text.push_str(elements);
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
pub(crate) mod tests {
    use proptest::prelude::{any as anything, proptest};
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    pub(crate) fn identity(cn: &str, dns: &[&str], uris: &[&str]) -> Identity {
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
    fn reads_every_organizational_unit() {
        let mut params = CertificateParams::new([]).unwrap();
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, "Coins");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let found = Identity::from_certificate(certificate.der()).unwrap();
        assert_eq!(found.organizational_units, ["Coins"]);
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

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(anything::<u8>(), 0..300)) {
            let _ = Identity::from_certificate(&CertificateDer::from(bytes));
        }
    }
}
