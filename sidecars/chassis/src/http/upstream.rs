//! The client for the next hop: a base address, a connection pool, and a timeout on every wait.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_TYPE, EXPECT, HOST, RETRY_AFTER, TE, TRAILER},
    uri::{Authority, PathAndQuery, Scheme},
};
use tracing::Instrument;

use super::{
    Body, UpstreamLimits, UpstreamProtocol, box_body,
    headers::join_cookies,
    pool::{Pool, SendError},
    problem, strip_hop_by_hop,
    timeout_body::TimeoutBody,
    trace,
    upgrade::PendingUpgrade,
    upstream_body::{RequestBody, Upload},
};
use crate::BoxError;

/// A client for one base address, such as `http://127.0.0.1:8081`, with a connection pool.
#[derive(Clone)]
pub struct Upstream {
    pool: Arc<Pool>,
    authority: Authority,
    base_path: Arc<str>,
    limits: UpstreamLimits,
}

/// The error of parsing the base address of an upstream.
#[derive(Debug, thiserror::Error)]
pub enum ParseUpstreamError {
    /// The text is not a URL.
    #[error("`{text}` is not a URL; write one like http://127.0.0.1:8080")]
    InvalidUrl {
        /// The text, without user name and password.
        text: String,
        /// The parser's error.
        source: http::uri::InvalidUri,
    },
    /// This client does not support the URL.
    #[error("`{text}` {problem}; write a URL like http://127.0.0.1:8080")]
    UnsupportedUrl {
        /// The text, without user name and password.
        text: String,
        /// The reason, as a phrase that follows the text.
        problem: &'static str,
    },
}

/// The error of a request without a response from the upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The upstream does not accept connections (yet): 503 with `Retry-After`.
    #[error("cannot connect to the upstream")]
    Connect(#[source] BoxError),
    /// `upstream_limits.max_connections` are in use: 503 with `Retry-After`.
    #[error("all connections to the upstream are in use; try again")]
    Busy,
    /// The header section of the response did not arrive in time: 504.
    #[error("the upstream did not answer within {0:?}")]
    Timeout(Duration),
    /// The body of the request could not be read from the client: 400.
    #[error("the request body ended unexpectedly")]
    RequestBody(#[source] BoxError),
    /// Any other error: 502.
    #[error("the upstream failed")]
    Failed(#[source] BoxError),
}

impl ParseUpstreamError {
    /// Returns the message without what to do, for the problem of a setting, which has its own hint.
    pub fn reason(&self) -> String {
        match self {
            Self::InvalidUrl { text, .. } => format!("`{text}` is not a URL"),
            Self::UnsupportedUrl { text, problem } => format!("`{text}` {problem}"),
        }
    }
}

impl Upstream {
    /// Creates a client for HTTP/1.1; connections are opened on demand.
    pub fn new(base: &str, limits: UpstreamLimits) -> Result<Self, ParseUpstreamError> {
        Self::with_protocol(UpstreamProtocol::Http1, base, limits)
    }

    /// Creates a client for this protocol.
    pub fn with_protocol(
        protocol: UpstreamProtocol,
        base: &str,
        limits: UpstreamLimits,
    ) -> Result<Self, ParseUpstreamError> {
        let unsupported = |problem| ParseUpstreamError::UnsupportedUrl {
            text: redact(base),
            problem,
        };
        let uri: Uri = base
            .parse()
            .map_err(|source| ParseUpstreamError::InvalidUrl {
                text: redact(base),
                source,
            })?;

        // The next hop is in the same task, so there is no TLS client here.
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(unsupported("does not begin with `http://`"));
        }
        if uri.query().is_some() {
            return Err(unsupported("has a query"));
        }

        let authority = uri
            .authority()
            .cloned()
            .ok_or_else(|| unsupported("has no host"))?;

        // Credentials would end up in logs, and are deprecated in `http` URLs (RFC 9110 section 4.2.4).
        if authority.as_str().contains('@') {
            return Err(unsupported("contains a user name or password"));
        }

        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(80);
        let pool = Pool::new(host, port, protocol, &limits).into();
        let base_path = uri.path().trim_end_matches('/').into();

        Ok(Self {
            pool,
            authority,
            base_path,
            limits,
        })
    }

    /// Returns the host and port of the upstream.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Sends a request and returns the response as soon as its header section has arrived; bodies stream.
    ///
    /// The request's path is appended to the base address. The host is that of the request's target or
    /// `Host` header, or else the upstream's. Hop-by-hop headers are removed in both directions, and the
    /// trace context is forwarded in a CLIENT span.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let span = trace::client_span(&request, &self.authority);
        let sending = self.send_in_span(request);
        let result = sending.instrument(span.clone()).await;
        trace::record_client(
            &span,
            result.as_ref().map(Response::status).map_err(|e| e as _),
        );

        result
    }

    /// Returns whether the upstream accepts connections.
    pub async fn is_reachable(&self) -> bool {
        self.pool.is_reachable().await
    }

    async fn send_in_span(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let upload = Upload::new();
        let mut request = self.prepare(request, &upload)?;
        let pending_upgrade = PendingUpgrade::request_from(&mut request);
        let limit = self.limits.response_timeout.duration();
        let mut response = match upload.timeout(limit, self.pool.send(request)).await {
            Some(Ok(response)) => response,
            Some(Err(SendError::Connect(error))) => {
                return Err(UpstreamError::Connect(error.into()));
            }
            Some(Err(SendError::Busy)) => return Err(UpstreamError::Busy),
            // hyper reports a failed request body as an error of the exchange; the flag tells the two apart.
            Some(Err(SendError::Exchange(error))) if upload.has_failed() => {
                return Err(UpstreamError::RequestBody(error.into()));
            }
            Some(Err(SendError::Exchange(error))) => {
                return Err(UpstreamError::Failed(error.into()));
            }
            None => return Err(UpstreamError::Timeout(limit)),
        };

        let stall = self.limits.stall_timeout.duration();
        // The names of the trailers that follow; the server sends only those to an HTTP/1.1 client.
        let trailer = response.headers_mut().remove(TRAILER);
        strip_hop_by_hop(response.headers_mut());
        if let Some(trailer) = trailer {
            response.headers_mut().insert(TRAILER, trailer);
        }

        // The version belongs to each hop (RFC 9110 section 2.5); the server sets its own.
        *response.version_mut() = Version::HTTP_11;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let unexpected =
                || UpstreamError::Failed("it switched protocols without a request".into());
            pending_upgrade
                .ok_or_else(unexpected)?
                .accept(&mut response)
                .map_err(UpstreamError::Failed)?;
        }

        Ok(response.map(|body| box_body(TimeoutBody::new(body, stall))))
    }

    fn prepare(
        &self,
        mut request: Request<Body>,
        upload: &Upload,
    ) -> Result<Request<Body>, UpstreamError> {
        let wants_trailers = is_grpc(request.headers());
        let headers = request.headers_mut();
        strip_hop_by_hop(headers);
        join_cookies(headers);

        // The server answers with `100 Continue` itself when the body is first read, so it follows in any case.
        headers.remove(EXPECT);
        // RFC 9112 section 3.2.2: a host in the request target overrides the `Host` header.
        let host_in_target = request.uri().authority().cloned();

        match self.pool.protocol() {
            UpstreamProtocol::Http1 => self.address_http1(&mut request, host_in_target)?,
            UpstreamProtocol::Http2 => {
                self.address_http2(&mut request, host_in_target)?;
                if wants_trailers {
                    // `TE` is hop-by-hop and was removed; gRPC servers reject calls without it.
                    let headers = request.headers_mut();
                    headers.insert(TE, HeaderValue::from_static("trailers"));
                }
            }
        }

        trace::inject(request.headers_mut());
        Ok(request.map(|body| box_body(RequestBody::new(body, upload))))
    }

    /// Writes the target in origin form and the host into `Host`.
    fn address_http1(
        &self,
        request: &mut Request<Body>,
        host_in_target: Option<Authority>,
    ) -> Result<(), UpstreamError> {
        *request.version_mut() = Version::HTTP_11;
        let path = self.path(request.uri());
        let host = host_in_target.or_else(|| {
            let is_missing = !request.headers().contains_key(HOST);
            is_missing.then(|| self.authority.clone())
        });

        if let Some(host) = host
            && let Ok(host) = HeaderValue::from_str(host.as_str())
        {
            request.headers_mut().insert(HOST, host);
        }

        if let Some(path) = path {
            *request.uri_mut() = path?;
        }
        Ok(())
    }

    /// Writes the host into the target, where HTTP/2 has it.
    fn address_http2(
        &self,
        request: &mut Request<Body>,
        host_in_target: Option<Authority>,
    ) -> Result<(), UpstreamError> {
        *request.version_mut() = Version::HTTP_2;
        let host = request.headers_mut().remove(HOST);
        let host =
            host_in_target.or_else(|| host.and_then(|host| host.to_str().ok()?.parse().ok()));
        let path = match self.path(request.uri()) {
            Some(path) => path?,
            None => request.uri().clone(),
        };

        let mut parts = path.into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(host.unwrap_or_else(|| self.authority.clone()));

        let uri = Uri::from_parts(parts);
        *request.uri_mut() = uri.map_err(|error| UpstreamError::Failed(error.into()))?;
        Ok(())
    }

    /// Returns the target in origin form, appended to the base path; `None` if it needs no change.
    fn path(&self, target: &Uri) -> Option<Result<Uri, UpstreamError>> {
        let path = target.path_and_query();
        let is_path = path.is_some_and(|path| path.as_str().starts_with('/'));
        match path {
            // The asterisk form of OPTIONS asks about the server, not about a path (RFC 9112 section 3.2.4).
            Some(path) if path == "*" => None,
            Some(_) if is_path && self.base_path.is_empty() && target.authority().is_none() => None,
            Some(path) if is_path && self.base_path.is_empty() => Some(Ok(Uri::from(path.clone()))),
            _ => {
                // `http://host?x` has an empty path, which becomes `/` (RFC 9112 section 3.2.1).
                let slash = if is_path { "" } else { "/" };
                let path = path.map_or("", PathAndQuery::as_str);
                let path = format!("{}{slash}{path}", self.base_path).parse();
                Some(
                    path.map_err(|error: http::uri::InvalidUri| {
                        UpstreamError::Failed(error.into())
                    }),
                )
            }
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("authority", &self.authority)
            .field("base_path", &self.base_path)
            .finish_non_exhaustive()
    }
}

impl UpstreamError {
    /// Returns the response for the client: 503 with `Retry-After`, 504, 400 or 502.
    pub fn response(&self) -> Response<Body> {
        let (status, code) = match self {
            Self::Connect(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_unavailable"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "upstream_busy"),
            Self::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
            Self::RequestBody(_) => (StatusCode::BAD_REQUEST, "request_body_broken"),
            Self::Failed(_) => (StatusCode::BAD_GATEWAY, "upstream_failed"),
        };

        let mut response = problem(status, code, &self.to_string());
        if matches!(self, Self::Connect(_) | Self::Busy) {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }

        response
    }
}

/// Returns whether a host is `localhost` or a loopback address, in brackets or not.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Removes user name and password from what may be a URL, for error messages.
fn redact(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => text.to_owned(),
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}
