//! Forwarding of one request: validation, `X-Forwarded-*` headers, the next hop.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use chassis::http::{Body, Upstream, problem};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{HOST, STRICT_TRANSPORT_SECURITY},
    uri::Authority,
};

use crate::{Identity, tls::ConnectionGuard};

/// Forwards requests to the next hop.
#[derive(Debug)]
pub(crate) struct HttpForwarder {
    pub(crate) upstream: Upstream,
    pub(crate) forwarded_policy: ForwardedPolicy,
    /// `Strict-Transport-Security` of every response.
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) log: AccessLog,
}

/// The client of a connection.
pub(crate) struct ClientContext {
    ip: IpAddr,
    forwarded_for: Option<HeaderValue>,
    certificate: Option<HeaderValue>,
    /// Counts the connection while it is open.
    _guard: ConnectionGuard,
}

impl ClientContext {
    pub(crate) fn new(ip: IpAddr, identity: Option<&Identity>, guard: ConnectionGuard) -> Self {
        // An IPv4 client of a dual-stack listener has a mapped address (`::ffff:…`), which apps do not expect.
        let ip = ip.to_canonical();
        Self {
            ip,
            forwarded_for: HeaderValue::from_str(&ip.to_string()).ok(),
            certificate: identity.and_then(Identity::to_header),
            _guard: guard,
        }
    }
}

/// Selects the requests or connections that are logged.
#[derive(Debug)]
pub(crate) struct AccessLog {
    every: Option<u64>,
    count: AtomicU64,
}

impl AccessLog {
    /// Selects every n-th, so that they make up this share.
    pub(crate) fn new(share: f64) -> Self {
        let every = (share > 0.0).then(|| (1.0 / share).round().max(1.0) as u64);
        Self {
            every,
            count: AtomicU64::new(0),
        }
    }

    /// Returns whether the current one is logged, and counts it.
    pub(crate) fn is_sampled(&self) -> bool {
        self.every.is_some_and(|every| {
            self.count
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(every)
        })
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

impl HttpForwarder {
    pub(crate) async fn answer(
        &self,
        request: Request<Body>,
        client: &ClientContext,
    ) -> Response<Body> {
        let log_entry = self.log.is_sampled().then(|| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            (method, path, Instant::now())
        });
        // The request is consumed, so what the log line needs was copied before.
        let mut response = self.send(request, client).await;

        // The app may have set a policy that differs; it wins.
        if let Some(hsts) = &self.hsts
            && !response.headers().contains_key(STRICT_TRANSPORT_SECURITY)
        {
            let headers = response.headers_mut();
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }

        if let Some((method, path, started)) = log_entry {
            let (status, ms) = (
                response.status().as_u16(),
                started.elapsed().as_millis() as u64,
            );
            tracing::info!(client = %client.ip, %method, path, status, ms, "request");
        }

        response
    }

    async fn send(&self, mut request: Request<Body>, client: &ClientContext) -> Response<Body> {
        if let Some(rejection) = RequestRejection::check(&request) {
            return rejection.response();
        }

        let host = host(request.uri(), request.headers());
        let forwarded = ForwardedHeaders { client, host };
        forwarded.write(request.headers_mut(), self.forwarded_policy);

        match self.upstream.send(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no response from upstream"
                );
                error.response()
            }
        }
    }
}

/// The reason a request is not forwarded: proxy and app could interpret it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestRejection {
    Tunnel,
    HostCount,
    InvalidHost,
}

impl RequestRejection {
    fn check<B>(request: &Request<B>) -> Option<Self> {
        if *request.method() == Method::CONNECT {
            return Some(Self::Tunnel);
        }

        let named_in_target = request.uri().authority().is_some();
        let mut hosts = request.headers().get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (_, Some(_)) => Some(Self::HostCount),
            (Some(host), None) if !is_authority(host) => Some(Self::InvalidHost),
            (None, None) if !named_in_target && request.version() != Version::HTTP_10 => {
                Some(Self::HostCount)
            }
            _ => None,
        }
    }

    fn response(self) -> Response<Body> {
        let (status, code, message) = match self {
            Self::Tunnel => (
                StatusCode::METHOD_NOT_ALLOWED,
                "connect_refused",
                "this proxy does not support CONNECT",
            ),
            Self::HostCount => (
                StatusCode::BAD_REQUEST,
                "bad_host",
                "a request must have exactly one host",
            ),
            Self::InvalidHost => (
                StatusCode::BAD_REQUEST,
                "bad_host",
                "the host is not a valid name and port",
            ),
        };

        problem(status, code, message)
    }
}

/// Returns whether a `Host` header is a host with an optional port, without user information.
fn is_authority(host: &HeaderValue) -> bool {
    let text = host.to_str().unwrap_or_default();
    text.parse::<Authority>()
        .is_ok_and(|authority| !authority.as_str().contains('@'))
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        // HTTP/1.1 with a target in origin form.
        None => headers.get(HOST).cloned(),
    }
}

/// The headers that describe the client's side to the next hop.
struct ForwardedHeaders<'a> {
    client: &'a ClientContext,
    host: Option<HeaderValue>,
}

impl ForwardedHeaders<'_> {
    fn write(self, headers: &mut HeaderMap, forwarded_policy: ForwardedPolicy) {
        let chain = match forwarded_policy {
            ForwardedPolicy::Replace => {
                remove_matching(headers, is_forwarded_header);
                self.client.forwarded_for.clone()
            }
            ForwardedPolicy::Append => {
                // Only this proxy has verified the client's certificate, whatever is in front of it.
                remove_matching(headers, is_certificate_header);
                HeaderValue::from_str(&self.chain(headers)).ok()
            }
        };

        // After the removal, so that only a verified certificate gets this header.
        if let Some(certificate) = &self.client.certificate {
            headers.insert(CERTIFICATE, certificate.clone());
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

fn is_certificate_header(name: &str) -> bool {
    reads_as(name, CERTIFICATE.as_str(), false)
}

/// Returns whether an app could read this header as `known`, or as a name that begins with it.
///
/// CGI-style interfaces (WSGI, PHP) map `-` to `_`, so `x_forwarded_for` spoofs `x-forwarded-for`.
fn reads_as(name: &str, known: &str, is_prefix: bool) -> bool {
    let same =
        |byte: u8, known: u8| byte == known || (known == b'-' && matches!(byte, b'_' | b'.'));
    (name.len() == known.len() || is_prefix && name.len() > known.len())
        && name
            .bytes()
            .zip(known.bytes())
            .all(|(byte, known)| same(byte, known))
}

const CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
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

    fn rejection(request: http::request::Builder) -> Option<RequestRejection> {
        RequestRejection::check(&request.body(()).unwrap())
    }

    #[test]
    fn rejects_a_request_without_exactly_one_valid_host() {
        assert_eq!(
            rejection(Request::get("/")),
            Some(RequestRejection::HostCount)
        );
        let two = Request::get("/").header(HOST, "a").header(HOST, "b");
        assert_eq!(rejection(two), Some(RequestRejection::HostCount));
        for invalid in ["a b", "", "user@a", "a/b"] {
            let request = Request::get("/").header(HOST, invalid);
            assert_eq!(
                rejection(request),
                Some(RequestRejection::InvalidHost),
                "{invalid}"
            );
        }
    }

    #[test]
    fn accepts_a_request_with_one_host() {
        assert_eq!(
            rejection(Request::get("/").header(HOST, "a.example:8443")),
            None
        );
        assert_eq!(rejection(Request::get("https://a.example/")), None);
        assert_eq!(rejection(Request::get("/").version(Version::HTTP_10)), None);
    }

    #[test]
    fn rejects_connect() {
        assert_eq!(
            rejection(Request::connect("a.example:443")),
            Some(RequestRejection::Tunnel)
        );
    }
}
