//! The headers that describe the client's certificate to the next hop.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls_pki_types::CertificateDer;

use crate::{ForwardClientCertificate, Identity, forwarded_headers::reads_as};

/// The headers about a verified client certificate.
#[derive(Debug, Clone)]
pub(crate) struct CertificateHeaders {
    /// `X-Forwarded-Client-Cert`.
    summary: Option<HeaderValue>,
    /// `Client-Cert`.
    certificate: Option<HeaderValue>,
    /// `Client-Cert-Chain`.
    chain: Option<HeaderValue>,
}

impl CertificateHeaders {
    /// Creates the headers for a certificate and the chain as the client sent it, leaf first.
    pub(crate) fn new(
        identity: &Identity,
        sent: &[CertificateDer<'_>],
        form: ForwardClientCertificate,
    ) -> Self {
        let mut headers = Self {
            summary: None,
            certificate: None,
            chain: None,
        };

        match form {
            ForwardClientCertificate::Off => headers.summary = identity.to_header(),
            ForwardClientCertificate::ClientCert => {
                headers.summary = identity.to_header();
                let (leaf, issuers) = sent.split_at(sent.len().min(1));
                headers.certificate = byte_sequences(leaf);
                headers.chain = byte_sequences(issuers);
            }
            ForwardClientCertificate::Xfcc => {
                headers.summary = identity.to_header_with(&elements(sent));
            }
        }
        headers
    }

    /// Adds the headers to a request without any of them.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (SUMMARY, &self.summary),
            (CERTIFICATE, &self.certificate),
            (CHAIN, &self.chain),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// Returns whether an app could take a client's header for one of [`CertificateHeaders`].
///
/// RFC 9440 section 2.4: a proxy removes these headers from requests, whether it sets them or not.
pub(crate) fn is_certificate_header(name: &str) -> bool {
    [SUMMARY, CERTIFICATE, CHAIN]
        .iter()
        .any(|known| reads_as(name, known.as_str(), false))
}

/// Returns certificates as a list of byte sequences (RFC 9440 section 2.1, RFC 8941 section 3.3.5).
fn byte_sequences(certificates: &[CertificateDer<'_>]) -> Option<HeaderValue> {
    let sequences: Vec<String> = certificates
        .iter()
        .map(|certificate| format!(":{}:", BASE64_STANDARD.encode(certificate)))
        .collect();
    let text = sequences.join(", ");
    if text.is_empty() || !fits(&text) {
        return None;
    }
    HeaderValue::from_str(&text).ok()
}

/// Returns the elements `Cert`, of the leaf, and `Chain`, with the leaf, in the encoding of Envoy.
fn elements(sent: &[CertificateDer<'_>]) -> String {
    let Some(leaf) = sent.first() else {
        return String::new();
    };
    let certificate = format!(";Cert=\"{}\"", url_encoded_pem(leaf));
    if !fits(&certificate) {
        return String::new();
    }

    let chain: String = sent.iter().map(url_encoded_pem).collect();
    let both = format!("{certificate};Chain=\"{chain}\"");
    if fits(&both) { both } else { certificate }
}

fn url_encoded_pem(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::from("-----BEGIN%20CERTIFICATE-----%0A");
    let base64 = BASE64_STANDARD.encode(certificate);
    for (at, letter) in base64.chars().enumerate() {
        // RFC 7468 section 2: lines of 64 characters.
        if at > 0 && at % 64 == 0 {
            text.push_str("%0A");
        }

        match letter {
            '+' | '/' | '=' => {
                let _ = write!(text, "%{:02X}", letter as u32);
            }
            letter => text.push(letter),
        }
    }

    text.push_str("%0A-----END%20CERTIFICATE-----%0A");
    text
}

/// Returns whether a value is short enough for an app; a client chooses the size of its certificate.
fn fits(text: &str) -> bool {
    let fits = text.len() <= MAX_VALUE_BYTES;
    if !fits {
        let bytes = text.len();
        tracing::debug!(bytes, "client certificate too large to be forwarded");
    }
    fits
}

/// The size of a header line that common servers accept by default; some accept 16 KiB for all lines.
const MAX_VALUE_BYTES: usize = 8 * 1024;
const SUMMARY: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const CERTIFICATE: HeaderName = HeaderName::from_static("client-cert");
const CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::identity;

    fn headers(sent: &[Vec<u8>], form: ForwardClientCertificate) -> HeaderMap {
        let sent: Vec<CertificateDer<'_>> = sent.iter().map(|der| der.as_slice().into()).collect();
        let mut headers = HeaderMap::new();
        CertificateHeaders::new(&identity("coins", &[], &[]), &sent, form).write(&mut headers);
        headers
    }

    #[test]
    fn writes_the_headers_of_rfc_9440() {
        let sent = [vec![0xfb; 3], vec![1; 3], vec![2; 3]];
        let headers = headers(&sent, ForwardClientCertificate::ClientCert);
        assert_eq!(headers["client-cert"], ":+/v7:");
        assert_eq!(headers["client-cert-chain"], ":AQEB:, :AgIC:");
        assert!(headers.contains_key("x-forwarded-client-cert"));
    }

    #[test]
    fn writes_no_chain_for_a_leaf_alone_and_nothing_by_default() {
        let leaf = [vec![1; 3]];
        let found = headers(&leaf, ForwardClientCertificate::ClientCert);
        assert!(!found.contains_key("client-cert-chain"));
        let found = headers(&leaf, ForwardClientCertificate::Off);
        assert_eq!(found.len(), 1);
        assert!(
            !found["x-forwarded-client-cert"]
                .to_str()
                .unwrap()
                .contains("Cert=")
        );
    }

    #[test]
    fn writes_the_elements_of_envoy() {
        let sent = [vec![0xfb; 4], vec![1; 3]];
        let headers = headers(&sent, ForwardClientCertificate::Xfcc);
        let leaf =
            "-----BEGIN%20CERTIFICATE-----%0A%2B%2Fv7%2Bw%3D%3D%0A-----END%20CERTIFICATE-----%0A";
        let issuer = "-----BEGIN%20CERTIFICATE-----%0AAQEB%0A-----END%20CERTIFICATE-----%0A";
        let expected = format!(";Cert=\"{leaf}\";Chain=\"{leaf}{issuer}\";Subject=");
        let value = headers["x-forwarded-client-cert"].to_str().unwrap();
        assert!(value.contains(&expected), "{value}");
    }

    #[test]
    fn leaves_out_what_is_too_large() {
        let leaf = vec![1; 100];
        let large = vec![1; MAX_VALUE_BYTES];
        let found = headers(
            &[leaf.clone(), large.clone()],
            ForwardClientCertificate::ClientCert,
        );
        assert!(found.contains_key("client-cert") && !found.contains_key("client-cert-chain"));
        let found = headers(&[leaf, large.clone()], ForwardClientCertificate::Xfcc);
        let value = found["x-forwarded-client-cert"].to_str().unwrap();
        assert!(value.contains(";Cert=") && !value.contains(";Chain="));
        let found = headers(&[large], ForwardClientCertificate::Xfcc);
        assert!(
            !found["x-forwarded-client-cert"]
                .to_str()
                .unwrap()
                .contains("Cert=")
        );
    }
}
