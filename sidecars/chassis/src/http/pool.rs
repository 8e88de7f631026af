//! The connection pool of an upstream.
//!
//! HTTP/1.1: one connection per request in flight, from `idle.rs`. HTTP/2: all requests share one
//! connection.

use std::{io, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::timeout};

use super::{
    Body, UpstreamLimits,
    idle::{IdlePool, Lease, PooledBody},
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
    Exchange(hyper::Error),
}

/// The connections to one address.
#[derive(Debug)]
pub(super) struct Pool {
    host: String,
    port: u16,
    protocol: UpstreamProtocol,
    connect_timeout: Duration,
    http1: Arc<IdlePool<()>>,
    http2: tokio::sync::Mutex<Option<http2::SendRequest<Body>>>,
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
            // The listener's limit on connections already bounds those to the upstream.
            http1: Arc::new(IdlePool::new(limits.idle_timeout.duration(), usize::MAX)),
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
        &self,
        request: Request<Body>,
    ) -> Result<Response<PooledBody<()>>, SendError> {
        match self.protocol {
            UpstreamProtocol::Http1 => self.send_http1(request).await,
            UpstreamProtocol::Http2 => self.send_http2(request).await,
        }
    }

    async fn send_http1(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<PooledBody<()>>, SendError> {
        loop {
            let (mut sender, is_new) = match self.http1.take(&()) {
                Some(sender) => (sender, false),
                None => (self.connect_http1().await?, true),
            };

            match sender.try_send_request(request).await {
                Ok(response) => {
                    // After a 101 the connection belongs to the tunnel.
                    let lease =
                        (response.status() != StatusCode::SWITCHING_PROTOCOLS).then(|| Lease {
                            key: (),
                            sender,
                            pool: Arc::clone(&self.http1),
                        });
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
    ) -> Result<Response<PooledBody<()>>, SendError> {
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
}

/// Detects an upstream that vanished without closing the connection.
const PING: Duration = Duration::from_secs(20);
