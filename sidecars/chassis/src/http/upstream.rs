//! The next hop: one base address, a pool of connections, limits on every wait.

use std::{
    fmt,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONTENT_TYPE, EXPECT, HOST, RETRY_AFTER, TE},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tracing::Instrument;

use super::{
    Body, UpstreamLimits, UpstreamProtocol, box_body,
    headers::join_cookies,
    pool::{Pool, PooledBody, SendError},
    problem, strip_hop_by_hop, trace,
    upgrade::PendingUpgrade,
};
use crate::BoxError;

/// One upstream base address, such as `http://127.0.0.1:8081`, with a pool of connections.
#[derive(Clone)]
pub struct Upstream {
    pool: Arc<Pool>,
    authority: Authority,
    base_path: Arc<str>,
    limits: UpstreamLimits,
}

/// Why an address cannot be an upstream.
#[derive(Debug, thiserror::Error)]
pub enum ParseUpstreamError {
    /// The text is no URL at all.
    #[error("`{text}` is not a URL; write one like http://127.0.0.1:8080")]
    InvalidUrl {
        /// What was given.
        text: String,
        /// What the parser says.
        source: http::uri::InvalidUri,
    },
    /// The URL is not one this client can use.
    #[error("`{text}` {problem}; write a URL like http://127.0.0.1:8080")]
    UnsupportedUrl {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Why there is no answer from the upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Nobody accepts connections there (yet): 503 with `Retry-After`.
    #[error("the upstream cannot be connected to")]
    Connect(#[source] BoxError),
    /// The head of the answer did not come in time: 504.
    #[error("the upstream did not answer within {0:?}")]
    Timeout(Duration),
    /// The body of the request could not be read from whoever sends it: 400.
    #[error("the body of the request broke off")]
    RequestBody(#[source] BoxError),
    /// Everything else: 502.
    #[error("the upstream broke off")]
    Failed(#[source] BoxError),
}

impl Upstream {
    /// An upstream at `base`; nothing is connected to until something is sent.
    pub fn new(base: &str, limits: UpstreamLimits) -> Result<Self, ParseUpstreamError> {
        Self::with_protocol(UpstreamProtocol::Http1, base, limits)
    }

    /// An upstream that speaks this protocol.
    pub fn with_protocol(
        protocol: UpstreamProtocol,
        base: &str,
        limits: UpstreamLimits,
    ) -> Result<Self, ParseUpstreamError> {
        let unusable = |problem| ParseUpstreamError::UnsupportedUrl {
            text: base.to_owned(),
            problem,
        };
        let uri: Uri = base
            .parse()
            .map_err(|source| ParseUpstreamError::InvalidUrl {
                text: base.to_owned(),
                source,
            })?;

        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(unusable("does not begin with `http://`"));
        }
        if uri.query().is_some() {
            return Err(unusable("has a query"));
        }

        let authority = uri
            .authority()
            .cloned()
            .ok_or_else(|| unusable("names no host"))?;

        if authority.as_str().contains('@') {
            return Err(unusable("has a user or a password in it"));
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

    /// The host and port of the upstream.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Sends a request and returns the answer as soon as its head is there; bodies stream.
    ///
    /// The path of the request is put behind the base address. The host is the one the request
    /// names in its target or `Host` header, else the upstream's. Headers of one hop are removed
    /// both ways, and the trace context is passed on in a CLIENT span.
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

    /// Whether something accepts connections at the upstream's address.
    pub async fn is_reachable(&self) -> bool {
        self.pool.connect().await.is_ok()
    }

    async fn send_in_span(&self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        let broken = Arc::new(AtomicBool::new(false));
        let mut request = self.prepare(request, &broken)?;
        let pending_upgrade = PendingUpgrade::request_from(&mut request);
        let limit = self.limits.response_timeout.duration();
        let mut answer = match timeout(limit, self.pool.send(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(SendError::Connect(error))) => return Err(UpstreamError::Connect(error.into())),
            Ok(Err(SendError::Exchange(error))) if broken.load(Ordering::Relaxed) => {
                return Err(UpstreamError::RequestBody(error.into()));
            }
            Ok(Err(SendError::Exchange(error))) => return Err(UpstreamError::Failed(error.into())),
            Err(_) => return Err(UpstreamError::Timeout(limit)),
        };

        let stall = self.limits.stall_timeout.duration();
        strip_hop_by_hop(answer.headers_mut());

        // Our listener answers in its own version (RFC 9110 section 2.5), whatever the app speaks.
        *answer.version_mut() = Version::HTTP_11;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let unasked = || UpstreamError::Failed("it switched protocols unasked".into());
            pending_upgrade.ok_or_else(unasked)?.accept(&mut answer);
        }

        Ok(answer.map(|body| box_body(TimeoutBody::new(body, stall))))
    }

    fn prepare(
        &self,
        mut request: Request<Body>,
        broken: &Arc<AtomicBool>,
    ) -> Result<Request<Body>, UpstreamError> {
        let wants_trailers = is_grpc(request.headers());
        let headers = request.headers_mut();
        strip_hop_by_hop(headers);
        join_cookies(headers);

        // Our own listener has answered it: the body is on its way already.
        headers.remove(EXPECT);
        // RFC 9112, 3.2.2: where the target names the host, the `Host` header has no say.
        let named = request.uri().authority().cloned();

        match self.pool.protocol() {
            UpstreamProtocol::Http1 => {
                *request.version_mut() = Version::HTTP_11;
                let target = self.path(request.uri());
                let host = named.or_else(|| {
                    let is_missing = !request.headers().contains_key(HOST);
                    is_missing.then(|| self.authority.clone())
                });

                if let Some(host) = host
                    && let Ok(host) = HeaderValue::from_str(host.as_str())
                {
                    request.headers_mut().insert(HOST, host);
                }

                if let Some(target) = target {
                    *request.uri_mut() = target?;
                }
            }
            UpstreamProtocol::Http2 => {
                *request.version_mut() = Version::HTTP_2;
                let host = request.headers_mut().remove(HOST);
                let host = named.or_else(|| host.and_then(|host| host.to_str().ok()?.parse().ok()));
                let path = match self.path(request.uri()) {
                    Some(path) => path?,
                    None => request.uri().clone(),
                };

                let mut parts = path.into_parts();
                parts.scheme = Some(Scheme::HTTP);
                parts.authority = Some(host.unwrap_or_else(|| self.authority.clone()));

                let uri = Uri::from_parts(parts);
                *request.uri_mut() = uri.map_err(|error| UpstreamError::Failed(error.into()))?;
                if wants_trailers {
                    // It belongs to the hop, and gRPC servers refuse a call without it.
                    let headers = request.headers_mut();
                    headers.insert(TE, HeaderValue::from_static("trailers"));
                }
            }
        }

        trace::inject(request.headers_mut());
        let broken = Arc::clone(broken);
        Ok(request.map(|body| box_body(RequestBody { body, broken })))
    }

    /// The target in origin form behind the base address; none when what was asked for is that already.
    fn path(&self, asked_for: &Uri) -> Option<Result<Uri, UpstreamError>> {
        let path = asked_for.path_and_query();
        let is_path = path.is_some_and(|path| path.as_str().starts_with('/'));
        match path {
            Some(_) if is_path && self.base_path.is_empty() && asked_for.authority().is_none() => {
                None
            }
            Some(path) if is_path && self.base_path.is_empty() => Some(Ok(Uri::from(path.clone()))),
            _ => {
                let path = path.filter(|_| is_path).map_or("/", PathAndQuery::as_str);
                let path = format!("{}{path}", self.base_path).parse();
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
    /// What the client is told: 503 with `Retry-After`, 504, 400 or 502.
    pub fn response(&self) -> Response<Body> {
        let (status, code) = match self {
            Self::Connect(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_unavailable"),
            Self::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
            Self::RequestBody(_) => (StatusCode::BAD_REQUEST, "request_body_broken"),
            Self::Failed(_) => (StatusCode::BAD_GATEWAY, "upstream_failed"),
        };

        let mut response = problem(status, code, &self.to_string());
        if matches!(self, Self::Connect(_)) {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }

        response
    }
}

/// Whether the host of an address is this task itself: `localhost` or a loopback address, in brackets or not.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The body of a request, remembering whether it was the one that failed.
struct RequestBody {
    body: Body,
    broken: Arc<AtomicBool>,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if matches!(frame, Some(Err(_))) {
            self.broken.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// The body of an answer, with a limit on the wait for each of its parts.
struct TimeoutBody {
    body: PooledBody,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl TimeoutBody {
    fn new(body: PooledBody, limit: Duration) -> Self {
        Self {
            body,
            limit,
            waiting: None,
        }
    }
}

impl http_body::Body for TimeoutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }

        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(cx));
        waiting.as_mut().reset(Instant::now() + limit);

        Poll::Ready(Some(Err(format!(
            "no byte of the answer arrived within {limit:?}"
        )
        .into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
