//! One connection: opened, served and closed within its limits.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Body, Limits, OpenConnection, Peer, Protocol,
    activity::{Activity, CloseReason, TimeoutKind},
    graceful::{GracefulConnection, Http2Connection},
    metered_io::MeteredIo,
    request_handler::RequestHandler,
    request_slots::RequestSlots,
    stream_executor::StreamExecutor,
    upgrade::{Tunnel, TunnelSlot},
    write_coalescer::WriteCoalescer,
};
use crate::{BoxError, Shutdown, error::format_chain};

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) address: SocketAddr,
    pub(super) limits: Limits,
    pub(super) shutdown: Shutdown,
    pub(super) activity: Activity,
    pub(super) slots: Arc<RequestSlots>,
}

impl Connection {
    pub(super) async fn run<Io, S, F>(
        mut self,
        opening: impl Future<Output = io::Result<OpenConnection<Io, S>>>,
    ) where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let opening = async {
            let opened = opening.await?;
            let (io, protocol) = self.open(opened.io, opened.protocol).await?;
            Ok::<_, io::Error>((io, protocol, opened.address, opened.service))
        };
        // A client that connects just before the drain still gets a moment for its handshake.
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.drain_before_open() => return,
            _ = self.activity.asked_to_close() => return,
        };

        match opened {
            Ok((io, protocol, address, service)) => {
                self.address = address;
                // Boxed, so that a connection that has not sent anything does not hold the memory of one that serves.
                Box::pin(self.serve(io, protocol, service)).await;
            }
            Err(error) => {
                tracing::debug!(peer = %self.address, error = %format_chain(&error), "cannot open the connection");
            }
        }
    }

    async fn open<Io>(&self, io: Io, protocol: Protocol) -> io::Result<(MeteredIo<Io>, Protocol)>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let mut io = MeteredIo::new(io, self.activity.restart_clock());
        let detecting = async {
            match protocol {
                Protocol::Auto => io.sniff().await,
                // An HTTP/2 server may send its SETTINGS at once (RFC 9113 section 3.4).
                Protocol::Http2 => Ok(protocol),
                Protocol::Http1 => io.wait_for_byte().await.map(|()| protocol),
            }
        };

        let detected = tokio::select! {
            detected = detecting => detected,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Err(limit.into()),
        };

        Ok((io, detected?))
    }

    async fn serve<Io, S, F>(self, io: MeteredIo<Io>, protocol: Protocol, service: S)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let slot = TunnelSlot::default();
        let executor =
            StreamExecutor::new(self.activity.clone(), self.limits.stall_timeout.duration());
        let closing = Arc::new(AtomicBool::new(false));

        let handler = RequestHandler {
            service,
            // The service needs the address the connection was opened with, after any PROXY protocol header.
            peer: Peer {
                address: self.address,
                protocol,
            },
            activity: self.activity.clone(),
            slots: self.slots.for_client(self.address.ip().to_canonical()),
            upgrade_slot: slot.clone(),
            streams: (protocol == Protocol::Http2).then(|| executor.clone()),
            is_closing: Arc::clone(&closing),
        };
        let service = service_fn(move |request| handler.handle(request));

        let ended = if protocol == Protocol::Http2 {
            let coalescer = WriteCoalescer::new(io);
            let io = TokioIo::new(coalescer.clone());
            let connection = Http2Connection {
                connection: h2(&self.limits, executor).serve_connection(io, service),
                coalescer,
            };
            self.drive(connection, protocol, &closing).await
        } else {
            let connection = h1(&self.limits).serve_connection(TokioIo::new(io), service);
            // Without this hyper would not hand over the connection after a 101.
            self.drive(connection.with_upgrades(), protocol, &closing)
                .await
        };

        match (ended, slot.take()) {
            // hyper gives up the connection after the 101; this task owns the tunnel from here.
            (Ok(()), Some((tunnel, _slot))) => self.run_tunnel(tunnel).await,
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::debug!(peer = %self.address, error = %format_chain(&*error), "connection failed");
            }
        }
    }

    /// Runs a tunnel until it ends or stalls; it counts as a request in flight.
    async fn run_tunnel(&self, tunnel: Tunnel) {
        let _in_flight = self.activity.begin();
        tokio::select! {
            () = tunnel => {}
            limit = self.activity.wait_for_timeout(Protocol::Http1, &self.limits) => {
                tracing::debug!(peer = %self.address, timeout = ?limit, "tunnel timed out");
            }
        }
    }

    /// Runs the connection until it ends, exceeds a timeout or is drained.
    ///
    /// HTTP/1.1 has no GOAWAY: closing a connection between requests would cut off one that is already on
    /// its way. So the next response has `Connection: close`, and only a connection without a request for
    /// [`CLOSE_DELAY`] is closed.
    async fn drive(
        &self,
        connection: impl GracefulConnection,
        protocol: Protocol,
        closing: &AtomicBool,
    ) -> Result<(), BoxError> {
        let mut connection = pin!(connection);
        let mut close_delay = CLOSE_DELAY;
        let limit = tokio::select! {
            ended = poll_fn(|cx| connection.as_mut().poll_served(cx)) => return ended,
            () = self.shutdown.wait() => None,
            () = self.max_age_reached() => None,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Some(limit),
            reason = self.activity.asked_to_close() => {
                if reason == CloseReason::Evicted {
                    close_delay = EVICTION_DELAY;
                }
                tracing::debug!(peer = %self.address, ?reason, "closing the connection");
                Some(TimeoutKind::Idle)
            }
        };

        match limit {
            None if protocol == Protocol::Http1 => closing.store(true, Ordering::Relaxed),
            // GOAWAY for HTTP/2; an idle HTTP/1.1 connection closes, which its client must expect (RFC 9112 section 9.5).
            None | Some(TimeoutKind::Idle) => connection.as_mut().graceful_shutdown(),
            Some(limit) => return Err(io::Error::from(limit).into()),
        }

        tokio::select! {
            ended = poll_fn(|cx| connection.as_mut().poll_served(cx)) => ended,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Err(io::Error::from(limit).into()),
            () = self.inactive(close_delay) => Ok(()),
        }
    }

    /// Resolves when the connection reaches its maximum age.
    async fn max_age_reached(&self) {
        match self.limits.max_connection_age {
            Some(lifetime) => sleep(lifetime.duration()).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when a closing connection has had no request in flight for `delay`: its client neither
    /// uses nor closes it, or never sent a request.
    async fn inactive(&self, delay: Duration) {
        loop {
            let since = Instant::now();
            sleep_until(since + delay).await;
            if self.activity.idle_for(delay) {
                return;
            }
        }
    }

    /// Resolves [`CLOSE_DELAY`] after the drain has begun, if the connection is not open by then.
    async fn drain_before_open(&self) {
        self.shutdown.wait().await;
        sleep(CLOSE_DELAY).await;
    }
}

impl From<TimeoutKind> for io::Error {
    fn from(limit: TimeoutKind) -> Self {
        let message = match limit {
            TimeoutKind::FirstByte => "no byte received within `limits.first_byte_timeout`",
            TimeoutKind::Header => {
                "no complete header section received within `limits.header_timeout`"
            }
            TimeoutKind::Idle => "no request received within `limits.idle_timeout`",
            TimeoutKind::Stall => "no byte read or written within `limits.stall_timeout`",
        };
        Self::new(io::ErrorKind::TimedOut, message)
    }
}

fn h1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // This timer would also run between requests; `Activity` applies the header timeout instead.
        .header_read_timeout(None)
        .max_buf_size(limits.max_header_bytes.max(H1_MIN_BUFFER));
    builder
}

fn h2(limits: &Limits, executor: StreamExecutor) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(limits.max_header_bytes.try_into().unwrap_or(u32::MAX))
        .max_concurrent_streams(H2_MAX_STREAMS)
        .initial_stream_window_size(H2_WINDOW)
        .initial_connection_window_size(H2_WINDOW)
        .keep_alive_interval(Some(H2_PING_INTERVAL))
        .keep_alive_timeout(H2_PING_INTERVAL);
    if limits.websocket_over_http2 {
        builder.enable_connect_protocol();
    }
    builder
}

/// How long a connection without a request is kept open after it was asked to close.
const CLOSE_DELAY: Duration = Duration::from_secs(1);
/// The same for a connection whose place is needed: enough to send GOAWAY.
const EVICTION_DELAY: Duration = Duration::from_millis(20);
/// hyper panics on smaller buffers.
const H1_MIN_BUFFER: usize = 8192;
/// Bounds the requests, and so the memory, of one HTTP/2 connection; the minimum that RFC 9113 section
/// 6.5.2 recommends.
const H2_MAX_STREAMS: u32 = 100;
/// What a client may send before the service reads it, per connection; hyper's 1 MiB is too much for hundreds of
/// connections in a container of 64 MiB. The initial size of RFC 9113 section 6.9.2.
const H2_WINDOW: u32 = 65_535;
/// Detects a peer that vanished without closing the connection.
const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
