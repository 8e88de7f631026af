//! The connection pool of an upstream.
//!
//! HTTP/1.1: the most recently used connection is used next, so that surplus ones reach their idle
//! timeout. HTTP/2: all requests share one connection.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use super::{Body, UpstreamLimits, vectored_join::VectoredJoin};

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
    Exchange(hyper::Error),
}

/// The connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    host: String,
    port: u16,
    protocol: UpstreamProtocol,
    connect_timeout: Duration,
    idle_timeout: Duration,
    http1: Mutex<IdleConnections>,
    http2: tokio::sync::Mutex<Option<http2::SendRequest<Body>>>,
}

/// The connections not in use, the most recently used one last.
#[derive(Debug, Default)]
struct IdleConnections {
    connections: Vec<IdleConnection>,
    is_swept: bool,
}

#[derive(Debug)]
struct IdleConnection {
    sender: http1::SendRequest<Body>,
    until: Instant,
}

impl Pool {
    pub(super) fn new(
        host: &str,
        port: u16,
        protocol: UpstreamProtocol,
        limits: &UpstreamLimits,
    ) -> Self {
        Self {
            host: host.to_owned(),
            port,
            protocol,
            connect_timeout: limits.connect_timeout.duration(),
            idle_timeout: limits.idle_timeout.duration(),
            http1: Mutex::default(),
            http2: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn protocol(&self) -> UpstreamProtocol {
        self.protocol
    }

    /// Opens a TCP connection to the upstream.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
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

    /// Sends a request; the connection returns to the pool when the response body has been read.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<PooledBody>, SendError> {
        match self.protocol {
            UpstreamProtocol::Http1 => self.send_http1(request).await,
            UpstreamProtocol::Http2 => self.send_http2(request).await,
        }
    }

    async fn send_http1(
        self: &Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<Response<PooledBody>, SendError> {
        loop {
            let (mut sender, is_new) = match self.take() {
                Some(sender) => (sender, false),
                None => (self.connect_http1().await?, true),
            };

            match sender.try_send_request(request).await {
                Ok(response) => {
                    // After a 101 the connection belongs to the tunnel.
                    let lease = (response.status() != StatusCode::SWITCHING_PROTOCOLS)
                        .then(|| (sender, Arc::clone(self)));
                    return Ok(response.map(|body| PooledBody::new(body, lease)));
                }
                Err(mut failed) => match failed.take_message() {
                    // The upstream closed a pooled connection before anything was sent on it: safe to retry.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(SendError::Exchange(failed.into_error())),
                },
            }
        }
    }

    async fn connect_http1(&self) -> Result<http1::SendRequest<Body>, SendError> {
        let stream = self.connect().await.map_err(SendError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(VectoredJoin(stream)))
            .await
            .map_err(SendError::Exchange)?;

        tokio::spawn(async move {
            // An error also reaches the request that waits for its response on this connection.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    async fn send_http2(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<PooledBody>, SendError> {
        let mut is_new = false;
        loop {
            let mut sender = {
                // Held while connecting, so that concurrent requests wait for one connection and open no more.
                let mut shared = self.http2.lock().await;
                match &*shared {
                    Some(sender) if !sender.is_closed() => sender.clone(),
                    _ => {
                        is_new = true;
                        shared.insert(self.connect_http2().await?).clone()
                    }
                }
            };

            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response.map(|body| PooledBody::new(body, None))),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(SendError::Exchange(failed.into_error())),
                },
            }
        }
    }

    async fn connect_http2(&self) -> Result<http2::SendRequest<Body>, SendError> {
        let stream = self.connect().await.map_err(SendError::Connect)?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // Only while a request is in flight, which is hyper's default.
            .keep_alive_interval(Some(PING))
            .keep_alive_timeout(PING)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Exchange)?;

        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// Takes a connection that is ready for a request.
    fn take(&self) -> Option<http1::SendRequest<Body>> {
        let mut idle = self.idle_connections();
        let now = Instant::now();
        // From the end, so that the most recently used connection is taken.
        while let Some(IdleConnection { sender, until }) = idle.connections.pop() {
            if sender.is_ready() && until > now {
                return Some(sender);
            }
        }
        None
    }

    /// Returns a connection to the pool after its response was read.
    fn give_back(self: &Arc<Self>, mut sender: http1::SendRequest<Body>) {
        if sender.is_ready() {
            return self.keep(sender);
        }
        if sender.is_closed() {
            return;
        }

        // The request is still being sent, or the connection's task has not yet processed the response's end.
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            if sender.ready().await.is_ok()
                && let Some(pool) = pool.upgrade()
            {
                pool.keep(sender);
            }
        });
    }

    fn keep(self: &Arc<Self>, sender: http1::SendRequest<Body>) {
        let mut idle = self.idle_connections();
        let until = Instant::now() + self.idle_timeout;
        idle.connections.push(IdleConnection { sender, until });
        // One sweeper at a time, and only while there are idle connections.
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.idle_timeout));
        }
    }

    fn idle_connections(&self) -> MutexGuard<'_, IdleConnections> {
        self.http1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections past their idle timeout until none is left.
async fn sweep(pool: Weak<Pool>, idle_timeout: Duration) {
    loop {
        sleep(idle_timeout.max(MIN_SWEEP_INTERVAL) / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle_connections();
        let now = Instant::now();

        idle.connections
            .retain(|connection| connection.until > now && !connection.sender.is_closed());
        if idle.connections.is_empty() {
            idle.is_swept = false;
            return;
        }
    }
}

/// A response body that returns its connection to the pool at its end.
#[derive(Debug)]
pub(super) struct PooledBody {
    body: Incoming,
    lease: Option<(http1::SendRequest<Body>, Arc<Pool>)>,
}

impl PooledBody {
    fn new(body: Incoming, lease: Option<(http1::SendRequest<Body>, Arc<Pool>)>) -> Self {
        let mut answer = Self { body, lease };
        // A response without a body, such as to HEAD, may never be polled.
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    fn end(&mut self) {
        if let Some((sender, pool)) = self.lease.take() {
            pool.give_back(sender);
        }
    }
}

impl http_body::Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            // A connection that failed within a body cannot be used again.
            Some(Err(_)) => self.lease = None,
            _ => self.end(),
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

/// Detects an upstream that vanished without closing the connection.
const PING: Duration = Duration::from_secs(20);
/// Keeps a tiny idle timeout from turning the sweeper into a busy loop.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_millis(100);
