//! The client for servers outside the task: one trust store, one address policy, one set of limits.
//!
//! ```text
//! Client::send ─▶ origin ─▶ route (proxy.rs) ─▶ idle connection, or connect.rs ─▶ response
//!                              │                      │ resolver (address.rs) ─▶ TCP ─▶ TLS (trust.rs)
//!                              └ direct, CONNECT, or forwarded by the proxy
//! ```
//!
//! It speaks HTTP/1.1, follows no redirects and retries only what was never sent. Nothing here reads
//! the environment: the caller passes the [`ProxySettings`], which a component has in
//! [`Process::proxy`](crate::Process).
//!
//! # Proxies
//!
//! A proxy resolves the names of the servers, so an [`AddressPolicy`] then applies only to literal
//! addresses and to names that mean this host. [`AddressPolicy::PublicOnly`] therefore refuses
//! proxies, and [`AddressPolicy::PublicOrProxied`] relies on the proxy to refuse private addresses.
//! This host and link-local addresses, such as the metadata endpoint of a task, are never reached
//! through a proxy, and neither is `http` with [`PlainHttp::LoopbackOnly`].

mod address;
mod config;
mod connect;
mod error;
mod proxy;
mod trust;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::{HOST, PROXY_AUTHORIZATION, USER_AGENT},
    uri::{Authority, Scheme},
};
use hyper::client::conn::http1::SendRequest;
use rustls::pki_types::ServerName;
use tokio::time::timeout;

use self::{connect::Connector, proxy::Route};
use super::{
    Body, ReadError, box_body, full,
    idle::{IdlePool, Lease, PooledBody, keep_alive},
    pool::{copy_idempotent, is_closed},
    read_limited,
    timeout_body::TimeoutBody,
};

pub use address::AddressPolicy;
pub use config::{ClientConfig, ClientLimits, PlainHttp};
pub use error::{ClientError, SetupError};
pub use proxy::ProxySettings;
pub use trust::TrustStore;

/// A client with a connection pool; clones share the pool.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    tls: Arc<rustls::ClientConfig>,
    idle: Arc<IdlePool<Origin>>,
}

impl Client {
    /// Creates a client; reads the file of certificate authorities.
    pub fn new(config: ClientConfig) -> Result<Self, SetupError> {
        config.proxy.check()?;
        let tls = Arc::new(config.trust.tls_config()?);
        Ok(Self::with_tls(Arc::new(config), tls))
    }

    /// Creates a client that differs only in its address policy.
    pub fn with_addresses(&self, addresses: AddressPolicy) -> Self {
        let config = ClientConfig {
            addresses,
            ..(*self.config).clone()
        };
        // With a new pool: a connection of the other policy may lead to a refused address.
        Self::with_tls(Arc::new(config), Arc::clone(&self.tls))
    }

    fn with_tls(config: Arc<ClientConfig>, tls: Arc<rustls::ClientConfig>) -> Self {
        let limits = &config.limits;
        let idle = IdlePool::new(limits.idle_timeout, limits.max_idle_connections);
        Self {
            config,
            tls,
            idle: Arc::new(idle),
        }
    }

    /// Sends a request with an absolute URL; returns the response when its header section has arrived.
    ///
    /// `Host` is set from the URL, and `User-Agent` unless the request has one. The connection is used
    /// again once the body has been read to its end; dropping the body earlier closes it.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, ClientError> {
        let origin = Origin::from_url(request.uri())?;
        let route = self.config.route(&origin)?;
        let mut request = self.prepare(request, &origin, &route);

        loop {
            let (mut sender, is_new) = match self.idle.take_soon(&origin).await {
                Some(sender) => (sender, false),
                None => (self.connect(&origin, &route).await?, true),
            };

            let limit = self.config.limits.response_timeout;
            let copy = (!is_new).then(|| copy_idempotent(&request)).flatten();
            let sending = timeout(limit, sender.try_send_request(request)).await;
            let sent = sending.map_err(|_| ClientError::Timeout {
                host: origin.host_header(),
                limit,
            })?;

            match sent {
                Ok(response) => return Ok(self.lease(response, origin, sender)),
                Err(mut failed) => match (failed.take_message(), copy) {
                    // hyper returns the request only if nothing of it was written, so it cannot arrive
                    // twice (RFC 9110, section 9.2.2): the server has closed the idle connection.
                    (Some(unsent), _) if !is_new => request = unsent,
                    // It closed the connection when the request was on its way.
                    (None, Some(copy)) if is_closed(failed.error()) => request = copy,
                    _ => return Err(ClientError::exchange(&origin, failed.into_error())),
                },
            }
        }
    }

    /// Sends a request and reads the whole response, all within `limit`.
    pub async fn fetch(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let origin = Origin::from_url(request.uri())?;
        let fetching = async {
            let (head, body) = self.send(request).await?.into_parts();
            let max_bytes = self.config.limits.max_response_bytes;
            let body = read_limited(body, max_bytes).await;
            let body = body.map_err(|error| match error {
                ReadError::TooLarge { limit } => ClientError::TooLarge {
                    host: origin.host_header(),
                    limit,
                },
                ReadError::Io(error) => ClientError::exchange(&origin, error),
            })?;
            Ok(Response::from_parts(head, body))
        };

        let result = timeout(limit, fetching).await;
        result.unwrap_or_else(|_| {
            Err(ClientError::Timeout {
                host: origin.host_header(),
                limit,
            })
        })
    }

    async fn connect(
        &self,
        origin: &Origin,
        route: &Route,
    ) -> Result<SendRequest<Body>, ClientError> {
        let connector = Connector {
            config: &self.config,
            tls: &self.tls,
        };
        let limit = self.config.limits.connect_timeout;
        // One limit for name resolution, TCP, the proxy and the TLS handshake.
        let connecting = timeout(limit, connector.connect(origin, route)).await;
        connecting.unwrap_or_else(|_| {
            let message = format!("no connection within {limit:?}");
            let source = std::io::Error::new(std::io::ErrorKind::TimedOut, message);
            Err(ClientError::connect(origin, source))
        })
    }

    /// Converts a request to the form for its route, and completes the headers.
    fn prepare(&self, request: Request<Bytes>, origin: &Origin, route: &Route) -> Request<Body> {
        let (mut head, body) = request.into_parts();
        if let Ok(host) = HeaderValue::from_str(&origin.host_header()) {
            head.headers.insert(HOST, host);
        }
        if let Some(user_agent) = &self.config.user_agent {
            let entry = head.headers.entry(USER_AGENT);
            entry.or_insert_with(|| user_agent.clone());
        }

        match route {
            // A forwarding proxy needs the absolute URL (RFC 9112, section 3.2.2).
            Route::Forward(proxy) => {
                head.uri = origin.absolute(&head.uri);
                if let Some(authorization) = proxy.basic_auth() {
                    let headers = &mut head.headers;
                    headers.insert(PROXY_AUTHORIZATION, authorization.clone());
                }
            }
            // An origin server gets the path alone (RFC 9112, section 3.2.1).
            Route::Direct | Route::Tunnel(_) => head.uri = path(&head.uri),
        }

        Request::from_parts(head, full(body))
    }

    fn lease(
        &self,
        response: Response<hyper::body::Incoming>,
        key: Origin,
        sender: SendRequest<Body>,
    ) -> Response<Body> {
        let lease = Lease {
            keep_alive: keep_alive(response.headers()),
            key,
            sender,
            pool: Arc::clone(&self.idle),
        };
        let stall = self.config.limits.stall_timeout;
        response.map(|body| box_body(TimeoutBody::new(PooledBody::new(body, Some(lease)), stall)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Checks that a client can send requests to a URL, as far as the URL alone determines that.
pub fn check_url(url: &Uri) -> Result<(), ClientError> {
    Origin::from_url(url).map(|_| ())
}

/// The scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    /// Without user information, which must appear neither in `Host` nor in messages.
    authority: Authority,
}

impl Origin {
    pub(crate) fn from_url(url: &Uri) -> Result<Self, ClientError> {
        let invalid = || ClientError::InvalidUrl(remove_user(url));
        let scheme = url.scheme().filter(|scheme| is_http(scheme)).cloned();
        let scheme = scheme.ok_or_else(invalid)?;
        let authority = url.authority().ok_or_else(invalid)?;
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let authority: Authority = host.parse().map_err(|_| invalid())?;

        let origin = Self { scheme, authority };
        // The same check as for certificates, so that a bad name is found before connecting.
        match ServerName::try_from(origin.host()) {
            Ok(_) => Ok(origin),
            Err(_) => Err(invalid()),
        }
    }

    fn is_plain(&self) -> bool {
        self.scheme == Scheme::HTTP
    }

    /// Returns the host without the brackets that IPv6 addresses have in URLs.
    fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    fn host_header(&self) -> String {
        self.authority.as_str().to_owned()
    }

    /// Returns the URL of the server.
    fn url(&self) -> Uri {
        self.absolute(&Uri::from_static("/"))
    }

    /// Returns the absolute URL of a path on this server.
    fn absolute(&self, target: &Uri) -> Uri {
        let mut parts = path(target).into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        // All three parts are present, so this cannot fail.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn is_http(scheme: &Scheme) -> bool {
    *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS
}

fn path(target: &Uri) -> Uri {
    target
        .path_and_query()
        .map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()))
}

/// Returns a URL as text without a user name and password.
fn remove_user(url: &Uri) -> String {
    let text = url.to_string();
    match url.authority().map(Authority::as_str) {
        Some(authority) if authority.contains('@') => {
            let host = authority.rsplit('@').next().unwrap_or_default();
            text.replacen(authority, host, 1)
        }
        _ => text,
    }
}
