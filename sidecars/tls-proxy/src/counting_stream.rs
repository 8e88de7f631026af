//! A stream that counts its bytes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use opentelemetry::{KeyValue, metrics::Counter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that counts the bytes read and written, and adds them to the metric when dropped.
pub(crate) struct CountingStream<Io> {
    io: Io,
    up: u64,
    down: u64,
    bytes: Counter<u64>,
}

impl<Io> CountingStream<Io> {
    pub(crate) fn new(io: Io, bytes: Counter<u64>) -> Self {
        Self {
            io,
            up: 0,
            down: 0,
            bytes,
        }
    }
}

impl<Io> Drop for CountingStream<Io> {
    fn drop(&mut self) {
        // Once per connection: updating a metric on every read would cost more than the count.
        add(&self.bytes, self.up, self.down);
    }
}

/// Adds the bytes received from a client (`up`) and sent to it (`down`).
pub(crate) fn add(bytes: &Counter<u64>, up: u64, down: u64) {
    for (count, direction) in [(up, "up"), (down, "down")] {
        bytes.add(count, &[KeyValue::new("direction", direction)]);
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for CountingStream<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.up += (buf.filled().len() - before) as u64;
        polled
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for CountingStream<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.down += bytes_written(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.down += bytes_written(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn bytes_written(polled: &Poll<io::Result<usize>>) -> u64 {
    match polled {
        Poll::Ready(Ok(count)) => *count as u64,
        _ => 0,
    }
}
