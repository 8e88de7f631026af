//! Coalesces the writes of a connection until its task has nothing else to do.
//!
//! The HTTP/2 codec flushes after every larger frame, so responses that are ready together would each
//! be a separate TLS record and system call. Here a flush of the codec does nothing; the task that
//! drives the connection writes the buffer once it is out of other work.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that buffers its writes; clones share the stream.
#[derive(Debug)]
pub(super) struct WriteCoalescer<Io>(Arc<Mutex<State<Io>>>);

#[derive(Debug)]
struct State<Io> {
    io: Io,
    buffer: Vec<u8>,
    /// Number of bytes of the buffer already written.
    written: usize,
}

impl<Io> Clone for WriteCoalescer<Io> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> WriteCoalescer<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self(Arc::new(Mutex::new(State {
            io,
            buffer: Vec::new(),
            written: 0,
        })))
    }

    /// Writes and flushes the buffer; the connection's task calls it after each of its own polls.
    pub(super) fn poll_flush_buffer(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(state.poll_write_buffer(cx))?;
        Pin::new(&mut state.io).poll_flush(cx)
    }

    fn state(&self) -> MutexGuard<'_, State<Io>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Io: AsyncWrite + Unpin> State<Io> {
    /// Writes the whole buffer and frees it, so that an idle connection holds no memory for it.
    fn poll_write_buffer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let rest = &self.buffer[self.written..];
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.buffer = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Appends to the buffer; writes larger than the buffer go straight to the stream.
    fn poll_append(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.buffer.len() + length > MAX_BUFFER {
            // Frames must stay in order, so the buffer goes first.
            ready!(self.poll_write_buffer(cx))?;
        }

        if length > MAX_BUFFER {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        }
        // Allocated on demand, at full size, so that it never grows while it fills.
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(MAX_BUFFER);
        }

        for buf in bufs {
            self.buffer.extend_from_slice(buf);
        }
        Poll::Ready(Ok(length))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for WriteCoalescer<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.state().io).poll_read(cx, buf)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WriteCoalescer<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.state().poll_append(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.state().poll_append(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.buffer.is_empty() {
            return Pin::new(&mut state.io).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        ready!(state.poll_write_buffer(cx))?;
        Pin::new(&mut state.io).poll_shutdown(cx)
    }
}

/// The largest TLS record (RFC 8446 section 5.1).
const MAX_BUFFER: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test]
    async fn buffers_writes_until_the_buffer_is_flushed() {
        let (mut client, server) = duplex(64);
        let mut stream = WriteCoalescer::new(server);
        for word in [&b"one"[..], b"two"] {
            stream.write_all(word).await.unwrap();
            stream.flush().await.unwrap();
        }

        let mut byte = [0; 6];
        let before_flush = timeout(Duration::from_millis(20), client.read(&mut byte));
        assert!(before_flush.await.is_err());
        poll_fn(|cx| stream.poll_flush_buffer(cx)).await.unwrap();
        assert_eq!(client.read(&mut byte).await.unwrap(), 6);

        // Larger than the buffer and the duplex stream, so that every write path runs.
        let large = vec![b'x'; 3 * MAX_BUFFER];
        let writing = async {
            stream.write_all(&large).await.unwrap();
            stream.write_all(b"end").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let mut read = Vec::new();
        let (_, ()) = tokio::join!(client.read_to_end(&mut read), writing);
        assert_eq!(read, [&large[..], b"end"].concat());
    }
}
