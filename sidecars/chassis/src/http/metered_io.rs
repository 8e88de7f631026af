//! A stream that reports its bytes to the connection's activity.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::{Protocol, activity::Activity};

/// A stream that reports its bytes to an [`Activity`] and returns peeked bytes first.
#[derive(Debug)]
pub(crate) struct MeteredIo<Io> {
    io: Io,
    peeked: Bytes,
    activity: Activity,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> MeteredIo<Io> {
    pub(crate) fn new(io: Io, activity: Activity) -> Self {
        Self {
            io,
            peeked: Bytes::new(),
            activity,
        }
    }

    /// Waits for the first byte without consuming it, so that buffers are allocated only for a connection in use.
    pub(crate) async fn wait_for_byte(&mut self) -> io::Result<()> {
        let mut byte = [0];
        let count = self.io.read(&mut byte).await?;
        if count > 0 {
            self.activity.bytes_read();
            self.peeked = Bytes::copy_from_slice(&byte[..count]);
        }
        Ok(())
    }

    /// Detects the protocol from the HTTP/2 preface without consuming it.
    pub(crate) async fn sniff(&mut self) -> io::Result<Protocol> {
        let mut seen = BytesMut::with_capacity(PREFACE.len());
        // Stops at the first byte that differs: an HTTP/1 client may send less than a preface and wait.
        while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
            let mut rest = [0; PREFACE.len()];
            let want = PREFACE.len() - seen.len();
            let count = self.io.read(&mut rest[..want]).await?;
            if count == 0 {
                break;
            }

            self.activity.bytes_read();
            seen.extend_from_slice(&rest[..count]);
        }

        let protocol = if &seen[..] == PREFACE {
            Protocol::Http2
        } else {
            Protocol::Http1
        };

        // Returned by the first reads.
        self.peeked = seen.freeze();
        Ok(protocol)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for MeteredIo<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Not reported again: the bytes were counted when they were peeked.
        if self.peeked.has_remaining() {
            let count = self.peeked.len().min(buf.remaining());
            buf.put_slice(&self.peeked.split_to(count));
            return Poll::Ready(Ok(()));
        }

        let before = buf.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_read();
        }

        polled
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for MeteredIo<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.record_write(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.record_write(&polled);
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

impl<Io> MeteredIo<Io> {
    fn record_write(&self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(count)) if *count > 0) {
            self.activity.bytes_written();
        }
    }
}

/// The HTTP/2 connection preface (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn sniff_protocol(sent: &[u8]) -> (Protocol, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(sent).await.unwrap();
        drop(client);
        let mut watched = MeteredIo::new(server, Activity::new());
        let protocol = watched.sniff().await.unwrap();
        let mut read = Vec::new();
        watched.read_to_end(&mut read).await.unwrap();
        (protocol, read)
    }

    #[tokio::test]
    async fn detects_the_protocol_and_loses_no_byte() {
        let h1 = b"PUT / HTTP/1.1\r\n\r\n".to_vec();
        assert_eq!(sniff_protocol(&h1).await, (Protocol::Http1, h1));
        let h2 = [&PREFACE[..], b"rest"].concat();
        assert_eq!(sniff_protocol(&h2).await, (Protocol::Http2, h2));
        assert_eq!(
            sniff_protocol(b"PRI").await,
            (Protocol::Http1, b"PRI".to_vec())
        );
    }
}
