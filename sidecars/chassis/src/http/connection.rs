//! The life of one connection, under its limits.

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

/// One connection: opened, served, ended.
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
        let opened = tokio::select! {
            opened = opening => opened,
            () = self.drained_without_a_request() => return,
        };

        match opened {
            Ok((io, protocol, address, service)) => {
                self.address = address;
                // Boxed: a connection that says nothing should not keep the room of one that does.
                Box::pin(self.serve(io, protocol, service)).await;
            }
            Err(error) => {
                tracing::debug!(peer = %self.address, error = %format_chain(&error), "connection not opened");
            }
        }
    }

    async fn open<Io>(&self, io: Io, protocol: Protocol) -> io::Result<(MeteredIo<Io>, Protocol)>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let mut io = MeteredIo::new(io, self.activity.restart_clock());
        let looking = async {
            match protocol {
                Protocol::Auto => io.sniff().await,
                // The server speaks first: its settings do not wait for the client's.
                Protocol::Http2 => Ok(protocol),
                Protocol::Http1 => io.first_byte().await.map(|()| protocol),
            }
        };

        let looked = tokio::select! {
            looked = looking => looked,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Err(limit.into()),
        };

        Ok((io, looked?))
    }

    async fn serve<Io, S, F>(self, io: MeteredIo<Io>, protocol: Protocol, service: S)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let slot = TunnelSlot::default();
        let upgrade_slot = slot.clone();
        let peer = Peer {
            address: self.address,
            protocol,
        };
        let activity = self.activity.clone();
        let closing = Arc::new(AtomicBool::new(false));

        // Set for HTTP/1.1 alone; HTTP/2 has GOAWAY, and no such header.
        let last = Arc::clone(&closing);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            upgrade_slot.mark_upgrade_request(&mut request);

            // At the door, so that `Connection` cannot name a header a component adds on the way.
            strip_hop_by_hop(request.headers_mut());
            let in_flight = activity.begin();
            let (head, body) = request.into_parts();
            let body = DrainOnDrop::new(body, &head.headers);
            let answering = service(Request::from_parts(head, box_body(body)));
            let last = Arc::clone(&last);

            async move {
                let mut response = answering.await;
                if last.load(Ordering::Relaxed)
                    && response.status() != StatusCode::SWITCHING_PROTOCOLS
                {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }

                Ok::<_, Infallible>(response.map(|body| TrackedBody {
                    body,
                    _in_flight: in_flight,
                }))
            }
        });

        let ended = if protocol == Protocol::Http2 {
            let wire = WriteCoalescer::new(io);
            let io = TokioIo::new(wire.clone());
            let connection = h2(&self.limits).serve_connection(io, service);
            self.drive(Http2Connection { connection, wire }, protocol, &closing)
                .await
        } else {
            let connection = h1(&self.limits).serve_connection(TokioIo::new(io), service);
            self.drive(connection.with_upgrades(), protocol, &closing)
                .await
        };

        match (ended, slot.take()) {
            (Ok(()), Some(tunnel)) => self.carry(tunnel).await,
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::debug!(peer = %self.address, error = %format_chain(&*error), "connection failed");
            }
        }
    }

    /// Carries a tunnel until it ends or stalls; it counts as a request in flight.
    async fn carry(&self, tunnel: Tunnel) {
        let _in_flight = self.activity.begin();
        tokio::select! {
            () = tunnel => {}
            limit = self.activity.wait_for_timeout(Protocol::Http1, &self.limits) => {
                tracing::debug!(peer = %self.address, ?limit, "tunnel ended");
            }
        }
    }

    /// Runs the connection to its end, its limit, or through the drain.
    ///
    /// HTTP/1.1 has no word for "no more": closing a connection between requests would cut off the one that
    /// is on its way. So the next answer says it, and only who asks nothing for a moment is closed.
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
            () = self.old_enough() => None,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Some(limit),
        };

        match limit {
            None if protocol == Protocol::Http1 => closing.store(true, Ordering::Relaxed),
            None | Some(TimeoutKind::Idle) => connection.as_mut().graceful_shutdown(),
            Some(limit) => return Err(io::Error::from(limit).into()),
        }

        tokio::select! {
            ended = poll_fn(|cx| connection.as_mut().poll_served(cx)) => ended,
            limit = self.activity.wait_for_timeout(protocol, &self.limits) => Err(io::Error::from(limit).into()),
            () = self.quiet() => Ok(()),
        }
    }

    /// Resolves when the connection has lived as long as it may.
    async fn old_enough(&self) {
        match self.limits.max_connection_age {
            Some(lifetime) => sleep(lifetime.duration()).await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when a closing connection has had no request in flight for a moment: its client
    /// neither uses nor closes it, or never got as far as a request.
    async fn quiet(&self) {
        loop {
            let since = Instant::now();
            sleep_until(since + LAST_MOMENT).await;
            if self.activity.quiet_for(LAST_MOMENT) {
                return;
            }
        }
    }

    /// Resolves when the drain has begun and this connection has had its last moment to open.
    async fn drained_without_a_request(&self) {
        self.shutdown.wait().await;
        sleep(LAST_MOMENT).await;
    }
}

impl From<TimeoutKind> for io::Error {
    fn from(limit: TimeoutKind) -> Self {
        let what = match limit {
            TimeoutKind::FirstByte => "no byte arrived within `limits.first_byte_timeout`",
            TimeoutKind::Header => "no whole head arrived within `limits.header_timeout`",
            TimeoutKind::Idle => "no request arrived within `limits.idle_timeout`",
            TimeoutKind::Stall => "no byte passed within `limits.stall_timeout`",
        };
        Self::new(io::ErrorKind::TimedOut, what)
    }
}

fn h1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // This timer would also end idle connections; `Activity` limits the head.
        .header_read_timeout(None)
        .max_buf_size(limits.max_header_bytes.max(H1_SMALLEST_BUFFER));
    builder
}

fn h2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(limits.max_header_bytes.try_into().unwrap_or(u32::MAX))
        .max_concurrent_streams(H2_STREAMS)
        .keep_alive_interval(Some(H2_PING))
        .keep_alive_timeout(H2_PING);
    builder
}

/// What both kinds of hyper connection do, under one name.
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

/// An HTTP/2 connection, and the wire it writes to.
struct Http2Connection<C, Io> {
    connection: C,
    wire: WriteCoalescer<Io>,
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
        // Also behind its end: the last frames may be there still.
        let out = self.wire.poll_out(cx);
        match (served, out) {
            (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (Poll::Ready(served), Poll::Ready(Ok(()))) => Poll::Ready(served.map_err(Into::into)),
            (Poll::Ready(Err(error)), Poll::Pending) => Poll::Ready(Err(error.into())),
            (Poll::Ready(Ok(())) | Poll::Pending, _) => Poll::Pending,
        }
    }

    fn graceful_shutdown(mut self: Pin<&mut Self>) {
        Pin::new(&mut self.connection).graceful_shutdown();
    }
}

/// A body that keeps its request in flight until it has been sent.
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

/// How long a connection without a request is kept once it has been asked to end.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// hyper refuses smaller buffers.
const H1_SMALLEST_BUFFER: usize = 8192;
const H2_STREAMS: u32 = 250;
const H2_PING: Duration = Duration::from_secs(20);
