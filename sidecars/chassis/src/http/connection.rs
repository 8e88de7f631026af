//! One connection: opened, served and closed within its limits.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONNECTION};
use http_body::{Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep, sleep_until},
};

use super::{
    Body, Limits, OpenConnection, Peer, Protocol,
    activity::{Activity, InFlightGuard, TimeoutKind},
    box_body,
    drain_on_drop::DrainOnDrop,
    metered_io::MeteredIo,
    strip_hop_by_hop,
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
        let upgrade_slot = slot.clone();
        // The service needs the address the connection was opened with, after any PROXY protocol header.
        let peer = Peer {
            address: self.address,
            protocol,
        };
        let activity = self.activity.clone();
        let closing = Arc::new(AtomicBool::new(false));

        // Only ever set for HTTP/1.1: HTTP/2 forbids the `Connection` header and has GOAWAY.
        let is_closing = Arc::clone(&closing);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            upgrade_slot.mark_upgrade_request(&mut request);

            // First, so that a client's `Connection` header cannot name one that a component adds later.
            strip_hop_by_hop(request.headers_mut());
            // In flight from the complete header section until the last byte of the response body is sent.
            let in_flight = activity.begin();
            let answering = service(drain_body_on_drop(request));
            let is_closing = Arc::clone(&is_closing);

            async move {
                let response = answering.await;
                let is_closing = is_closing.load(Ordering::Relaxed);
                Ok::<_, Infallible>(finish_response(response, is_closing, in_flight))
            }
        });

        let ended = if protocol == Protocol::Http2 {
            let coalescer = WriteCoalescer::new(io);
            let io = TokioIo::new(coalescer.clone());
            let connection = Http2Connection {
                connection: h2(&self.limits).serve_connection(io, service),
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
            (Ok(()), Some(tunnel)) => self.run_tunnel(tunnel).await,
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
        let limit = tokio::select! {
            ended = poll_fn(|cx| connection.as_mut().poll_served(cx)) => return ended,
            () = self.shutdown.wait() => None,
            () = self.max_age_reached() => None,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Some(limit),
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
            () = self.inactive() => Ok(()),
        }
    }

    /// Resolves when the connection reaches its maximum age.
    async fn max_age_reached(&self) {
        match self.limits.max_connection_age {
            Some(lifetime) => sleep(lifetime.duration()).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when a closing connection has had no request in flight for [`CLOSE_DELAY`]: its client
    /// neither uses nor closes it, or never sent a request.
    async fn inactive(&self) {
        loop {
            let since = Instant::now();
            sleep_until(since + CLOSE_DELAY).await;
            if self.activity.idle_for(CLOSE_DELAY) {
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

fn drain_body_on_drop(request: Request<Incoming>) -> Request<Body> {
    let (head, body) = request.into_parts();
    let body = DrainOnDrop::new(body, &head.headers);
    Request::from_parts(head, box_body(body))
}

fn finish_response(
    mut response: Response<Body>,
    is_closing: bool,
    in_flight: InFlightGuard,
) -> Response<TrackedBody> {
    // A 101 response has `Connection: upgrade`, and its connection becomes the tunnel.
    if is_closing && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }

    response.map(|body| TrackedBody {
        body,
        _in_flight: in_flight,
    })
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

fn h2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(limits.max_header_bytes.try_into().unwrap_or(u32::MAX))
        .max_concurrent_streams(H2_MAX_STREAMS)
        .keep_alive_interval(Some(H2_PING_INTERVAL))
        .keep_alive_timeout(H2_PING_INTERVAL);
    builder
}

/// The common interface of hyper's HTTP/1 and HTTP/2 connections.
trait GracefulConnection {
    fn poll_served(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;

    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<Io, S, B> GracefulConnection for http1::UpgradeableConnection<Io, S>
where
    Self: Future<Output = hyper::Result<()>>,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    Io: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
{
    fn poll_served(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.poll(cx).map_err(Into::into)
    }

    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// An HTTP/2 connection and the stream it writes to.
struct Http2Connection<C, Io> {
    connection: C,
    coalescer: WriteCoalescer<Io>,
}

impl<Io, S, B> GracefulConnection
    for Http2Connection<http2::Connection<TokioIo<WriteCoalescer<Io>>, S, TokioExecutor>, Io>
where
    http2::Connection<TokioIo<WriteCoalescer<Io>>, S, TokioExecutor>:
        Future<Output = hyper::Result<()>> + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    Io: AsyncRead + AsyncWrite + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    TokioExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn poll_served(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let served = Pin::new(&mut self.connection).poll(cx);
        // Also after the connection has ended, when its last frames may still be buffered.
        let out = self.coalescer.poll_flush_buffer(cx);
        match (served, out) {
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (Poll::Ready(served), Poll::Ready(Ok(()))) => Poll::Ready(served.map_err(Into::into)),
            // After an error there is no point in waiting for a client that does not read.
            (Poll::Ready(Err(error)), Poll::Pending) => Poll::Ready(Err(error.into())),
            (Poll::Ready(Ok(())) | Poll::Pending, _) => Poll::Pending,
        }
    }

    fn graceful_shutdown(mut self: Pin<&mut Self>) {
        Pin::new(&mut self.connection).graceful_shutdown();
    }
}

/// A response body that keeps its request in flight until it is sent.
struct TrackedBody {
    body: Body,
    _in_flight: InFlightGuard,
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long a connection without a request is kept open after it was asked to close.
const CLOSE_DELAY: Duration = Duration::from_secs(1);
/// hyper panics on smaller buffers.
const H1_MIN_BUFFER: usize = 8192;
/// Bounds the requests, and so the memory, of one HTTP/2 connection.
const H2_MAX_STREAMS: u32 = 250;
/// Detects a peer that vanished without closing the connection.
const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
