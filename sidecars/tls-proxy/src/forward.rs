//! Forwarding of one request: validation, the headers about the client, the next hop.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use chassis::http::{Body, Upstream, problem};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{HOST, STRICT_TRANSPORT_SECURITY},
    uri::Authority,
};

use crate::{
    ForwardClientCertificate,
    forwarded_headers::{ClientContext, ForwardedHeaders, ForwardedPolicy},
};

/// Forwards requests to the next hop.
#[derive(Debug)]
pub(crate) struct HttpForwarder {
    pub(crate) upstream: Upstream,
    pub(crate) forwarded_policy: ForwardedPolicy,
    /// The header with the client's whole certificate.
    pub(crate) certificate: ForwardClientCertificate,
    /// `Strict-Transport-Security` of every response.
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) log: AccessLog,
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
    Asterisk,
}

impl RequestRejection {
    fn check<B>(request: &Request<B>) -> Option<Self> {
        if *request.method() == Method::CONNECT {
            return Some(Self::Tunnel);
        }

        let in_target = request.uri().authority();
        if in_target.is_some_and(|authority| authority.as_str().contains('@')) {
            return Some(Self::InvalidHost);
        }
        // Only OPTIONS has a target without a path (RFC 9112 section 3.2.4).
        if request.uri().path() == "*" && *request.method() != Method::OPTIONS {
            return Some(Self::Asterisk);
        }

        let named_in_target = in_target.is_some();
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
            Self::Asterisk => (
                StatusCode::BAD_REQUEST,
                "bad_target",
                "only OPTIONS may have the target `*`",
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn rejects_user_information_and_an_asterisk_as_target() {
        for target in ["http://user@a.example/", "http://user:pass@a.example/"] {
            let request = Request::get(target).header(HOST, "a.example");
            assert_eq!(rejection(request), Some(RequestRejection::InvalidHost));
        }
        let request = |method| Request::builder().method(method).uri("*").header(HOST, "a");
        assert_eq!(rejection(request(Method::OPTIONS)), None);
        assert_eq!(
            rejection(request(Method::GET)),
            Some(RequestRejection::Asterisk)
        );
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
