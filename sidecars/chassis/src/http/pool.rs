//! The connection pool of an upstream.
//!
//! HTTP/1.1: one connection per request in flight, from `idle.rs`. HTTP/2: requests share a connection
//! until it has as many streams as the upstream allows, see `http2_pool.rs`.

use std::{io, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Body, UpstreamLimits, empty,
    http2_pool::Http2Pool,
    idle::{IdlePool, Lease, PooledBody, keep_alive},
    request_slots::record_refused,
    upgrade::PendingUpgrade,
    vectored_join::VectoredJoin,
};

/// The protocol of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "http1")]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge (RFC 9113 section 3.3), as gRPC servers expect.
    #[serde(rename = "http2")]
    Http2,
}

/// The error of a request without a response.
#[derive(Debug)]
pub(super) enum SendError {
    Connect(io::Error),
    /// `upstream_limits.max_connections` are in use.
    Busy,
    Exchange(hyper::Error),
}

/// Counts a connection to the upstream until the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPermit {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// The connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    protocol: UpstreamProtocol,
    connector: Connector,
    http1: Arc<IdlePool<()>>,
    http2: Http2Pool,
}

/// Opens connections to one address, within a limit.
#[derive(Debug)]
pub(super) struct Connector {
    host: String,
    port: u16,
    connect_timeout: Duration,
    permits: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(
        host: &str,
        port: u16,
        protocol: UpstreamProtocol,
        limits: &UpstreamLimits,
    ) -> Self {
        let max_connections = limits.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            protocol,
            connector: Connector {
                host: host.to_owned(),
                port,
                connect_timeout: limits.connect_timeout.duration(),
                permits: Arc::new(Semaphore::new(max_connections)),
            },
            http1: Arc::new(IdlePool::new(
                limits.idle_timeout.duration(),
                max_connections,
            )),
            http2: Http2Pool::default(),
        }
    }

    pub(super) fn protocol(&self) -> UpstreamProtocol {
        self.protocol
    }

    /// Returns whether the upstream accepts a TCP connection.
    pub(super) async fn is_reachable(&self) -> bool {
        self.connector.connect_tcp().await.is_ok()
    }

    /// Sends a request; the connection returns to the pool when the response body has been read.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<PooledBody<()>>, SendError> {
        match self.protocol {
            UpstreamProtocol::Http1 => self.send_http1(request).await,
            UpstreamProtocol::Http2 => self.http2.send(request, &self.connector).await,
        }
    }

    async fn send_http1(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<PooledBody<()>>, SendError> {
        // If the upgrade is not agreed, the upstream may read what follows differently.
        if PendingUpgrade::is_requested(&request) {
            return self.send_upgrade(request).await;
        }

        while let Some(mut sender) = self.http1.take(&()) {
            let copy = copy_idempotent(&request);
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.lease(response, sender)),
                Err(mut failed) => match (failed.take_message(), copy) {
                    // The upstream closed the connection before anything was sent on it: safe to retry.
                    (Some(unsent), _) => request = unsent,
                    // It closed the connection when the request was on its way (RFC 9112 section 9.3.1):
                    // once more on a new one.
                    (None, Some(copy)) if is_closed(failed.error()) => {
                        request = copy;
                        break;
                    }
                    (None, _) => return Err(SendError::Exchange(failed.into_error())),
                },
            }
        }

        let (mut sender, _permit) = self.connect_http1().await?;
        let response = sender.send_request(request).await;
        let response = response.map_err(SendError::Exchange)?;
        Ok(self.lease(response, sender))
    }

    /// Sends a request for an upgrade on a connection of its own, which is not used again.
    async fn send_upgrade(
        &self,
        request: Request<Body>,
    ) -> Result<Response<PooledBody<()>>, SendError> {
        let (mut sender, permit) = self.connect_http1().await?;
        let response = sender.send_request(request).await;
        let mut response = response.map_err(SendError::Exchange)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            response.extensions_mut().insert(permit);
        }
        Ok(response.map(|body| PooledBody::new(body, None)))
    }

    fn lease(
        &self,
        response: Response<hyper::body::Incoming>,
        sender: http1::SendRequest<Body>,
    ) -> Response<PooledBody<()>> {
        let lease = Lease {
            key: (),
            sender,
            pool: Arc::clone(&self.http1),
            keep_alive: keep_alive(response.headers()),
        };
        // A 101 without a request for an upgrade is an error; its connection must not be used again.
        let lease = (response.status() != StatusCode::SWITCHING_PROTOCOLS).then_some(lease);
        response.map(|body| PooledBody::new(body, lease))
    }

    async fn connect_http1(
        &self,
    ) -> Result<(http1::SendRequest<Body>, ConnectionPermit), SendError> {
        let permit = if let Some(permit) = self.connector.try_permit() {
            permit
        } else {
            // Unused connections count too, but are of no use to this request.
            self.http1.close_oldest();
            self.connector.permit().await?
        };
        let stream = self.connector.connect_tcp().await;
        let stream = stream.map_err(SendError::Connect)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER_BYTES)
            .handshake(TokioIo::new(VectoredJoin(stream)))
            .await
            .map_err(SendError::Exchange)?;

        let held = permit.clone();
        tokio::spawn(async move {
            let _permit = held;
            // An error also reaches the request that waits for its response on this connection.
            let _ = connection.with_upgrades().await;
        });
        Ok((sender, permit))
    }
}

impl Connector {
    pub(super) async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| {
                let limit = self.connect_timeout;
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {limit:?}"),
                )
            })??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Returns a permit for a connection if there is one.
    pub(super) fn try_permit(&self) -> Option<ConnectionPermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(ConnectionPermit {
            _permit: Arc::new(permit),
        })
    }

    /// Waits for a permit for a connection, for as long as connecting may take.
    pub(super) async fn permit(&self) -> Result<ConnectionPermit, SendError> {
        let waiting = timeout(
            self.connect_timeout,
            Arc::clone(&self.permits).acquire_owned(),
        );
        // The semaphore is never closed, so an error is the timeout.
        if let Ok(Ok(permit)) = waiting.await {
            return Ok(ConnectionPermit {
                _permit: Arc::new(permit),
            });
        }
        record_refused("upstream_connections");
        Err(SendError::Busy)
    }
}

/// Returns a copy of a request that may be sent twice (RFC 9110 section 9.2.2): idempotent and without a
/// body, which could be sent once only.
pub(super) fn copy_idempotent(request: &Request<Body>) -> Option<Request<Body>> {
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    if !is_idempotent || !request.body().is_end_stream() {
        return None;
    }

    let mut copy = Request::new(empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// Returns whether the connection was closed before the response, and not by a malformed one.
pub(super) fn is_closed(error: &hyper::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let is_reset = cause.is_some_and(|cause| {
        matches!(
            cause.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
        )
    });
    error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_reset
}
/// What a connection holds of a request that the upstream does not read, or of a response's header section; hyper's
/// 400 KiB are too much for hundreds of connections.
const MAX_BUFFER_BYTES: usize = 64 << 10;
