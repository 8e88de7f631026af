//! `X-Forwarded-*`: the headers that describe the client to the next hop.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    client_certificate::{CertificateHeaders, is_certificate_header},
    tls::ConnectionGuard,
};

/// The headers that describe the client's side to the next hop.
pub(crate) struct ForwardedHeaders<'a> {
    pub(crate) client: &'a ClientContext,
    pub(crate) host: Option<HeaderValue>,
}

impl ForwardedHeaders<'_> {
    /// Replaces or extends the headers of the request.
    pub(crate) fn write(self, headers: &mut HeaderMap, forwarded_policy: ForwardedPolicy) {
        // Only this proxy has verified the client's certificate, whatever is in front of it.
        remove_matching(headers, is_certificate_header);
        let chain = match forwarded_policy {
            ForwardedPolicy::Replace => {
                remove_matching(headers, is_forwarded_header);
                self.client.forwarded_for.clone()
            }
            ForwardedPolicy::Append => HeaderValue::from_str(&self.chain(headers)).ok(),
        };

        // After the removal, so that only a verified certificate gets these headers.
        if let Some(certificate) = &self.client.certificate {
            certificate.write(headers);
        }
        if let Some(chain) = chain {
            headers.insert(FOR, chain);
        }

        // With a trusted proxy in front, its values describe the client's request and are kept.
        if !headers.contains_key(&PROTO) {
            headers.insert(PROTO, HeaderValue::from_static("https"));
        }
        if let Some(host) = self.host
            && !headers.contains_key(&ORIGINAL_HOST)
        {
            headers.insert(ORIGINAL_HOST, host);
        }
    }

    /// Returns the incoming addresses with the client's appended.
    fn chain(&self, headers: &HeaderMap) -> String {
        let incoming = headers
            .get_all(&FOR)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let client = self.client.ip.to_string();
        let all: Vec<&str> = incoming.chain([client.as_str()]).collect();
        all.join(", ")
    }
}

/// The client of a connection.
pub(crate) struct ClientContext {
    pub(crate) ip: IpAddr,
    forwarded_for: Option<HeaderValue>,
    certificate: Option<CertificateHeaders>,
    /// Counts the connection while it is open.
    _guard: ConnectionGuard,
}

impl ClientContext {
    pub(crate) fn new(
        ip: IpAddr,
        certificate: Option<CertificateHeaders>,
        guard: ConnectionGuard,
    ) -> Self {
        // An IPv4 client of a dual-stack listener has a mapped address (`::ffff:…`), which apps do not expect.
        let ip = ip.to_canonical();
        Self {
            ip,
            forwarded_for: HeaderValue::from_str(&ip.to_string()).ok(),
            certificate,
            _guard: guard,
        }
    }
}

/// The treatment of incoming `X-Forwarded-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForwardedPolicy {
    /// Remove them, because any client can send them.
    Replace,
    /// Keep them and append to them, because a trusted proxy sends them.
    Append,
}

/// Removes every header with a matching name.
fn remove_matching(headers: &mut HeaderMap, matches: fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| matches(name.as_str()))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

fn is_forwarded_header(name: &str) -> bool {
    reads_as(name, "x-forwarded-", true)
        || reads_as(name, "forwarded", false)
        || reads_as(name, "x-real-ip", false)
}

/// Returns whether an app could read this header as `known`, or as a name that begins with it.
///
/// CGI-style interfaces (WSGI, PHP) map `-` to `_`, so `x_forwarded_for` spoofs `x-forwarded-for`.
pub(crate) fn reads_as(name: &str, known: &str, is_prefix: bool) -> bool {
    let same =
        |byte: u8, known: u8| byte == known || (known == b'-' && matches!(byte, b'_' | b'.'));
    (name.len() == known.len() || is_prefix && name.len() > known.len())
        && name
            .bytes()
            .zip(known.bytes())
            .all(|(byte, known)| same(byte, known))
}

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded_headers(
        forwarded_policy: ForwardedPolicy,
        arrived: &[(&'static str, &'static str)],
    ) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in arrived {
            headers.append(*name, HeaderValue::from_static(value));
        }

        let host = Some(HeaderValue::from_static("coins.example"));
        let guard = ConnectionGuard::for_test();
        let client = &ClientContext::new([203, 0, 113, 9].into(), None, guard);
        ForwardedHeaders { client, host }.write(&mut headers, forwarded_policy);

        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut lines: Vec<String> = headers.iter().map(line).collect();

        lines.sort();
        lines
    }

    #[test]
    fn replaces_headers_that_clients_can_send() {
        let spoofed = [
            ("x-forwarded-for", "10.0.0.1"),
            // Spellings that an app may map to the canonical name.
            ("x_forwarded_for", "10.0.0.1"),
            ("x.forwarded.proto", "http"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-client-cert", "Hash=1"),
            ("x_forwarded.client-cert", "Hash=1"),
            ("client-cert", ":AAAA:"),
            ("client_cert-chain", ":AAAA:"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
        ];

        let expected = [
            "x-forwarded-for: 203.0.113.9",
            "x-forwarded-host: coins.example",
            "x-forwarded-proto: https",
        ];
        assert_eq!(
            forwarded_headers(ForwardedPolicy::Replace, &spoofed),
            expected
        );
    }

    #[test]
    fn appends_to_the_headers_of_a_trusted_proxy() {
        let trusted = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-host", "front.example"),
            ("x_forwarded_client_cert", "Hash=1"),
            ("client-cert", ":AAAA:"),
            ("client_cert_chain", ":AAAA:"),
        ];
        let expected = [
            "x-forwarded-for: 198.51.100.7, 203.0.113.9",
            "x-forwarded-host: front.example",
            "x-forwarded-proto: https",
        ];
        assert_eq!(
            forwarded_headers(ForwardedPolicy::Append, &trusted),
            expected
        );
    }
}
