//! The common interface of hyper's HTTP/1 and HTTP/2 connections.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{stream_executor::StreamExecutor, write_coalescer::WriteCoalescer};
use crate::BoxError;

/// A connection that can be polled and closed gracefully.
pub(super) trait GracefulConnection {
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
pub(super) struct Http2Connection<C, Io> {
    pub(super) connection: C,
    pub(super) coalescer: WriteCoalescer<Io>,
}

impl<Io, S, B> GracefulConnection
    for Http2Connection<http2::Connection<TokioIo<WriteCoalescer<Io>>, S, StreamExecutor>, Io>
where
    http2::Connection<TokioIo<WriteCoalescer<Io>>, S, StreamExecutor>:
        Future<Output = hyper::Result<()>> + Unpin,
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    Io: AsyncRead + AsyncWrite + Unpin,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
    StreamExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
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
