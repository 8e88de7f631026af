//! What a connection writes, gathered until its task has done all it can.
//!
//! The HTTP/2 codec flushes behind every larger frame, so that answers that are ready together would each be a
//! TLS record and a system call of its own. Here a flush only promises; the task that drives the connection
//! writes out what was gathered when it has nothing else to do.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose writes are gathered; clones are the same stream.
#[derive(Debug)]
pub(super) struct WriteCoalescer<Io>(Arc<Mutex<State<Io>>>);

#[derive(Debug)]
struct State<Io> {
    io: Io,
    gathered: Vec<u8>,
    /// How much of that has been written.
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
            gathered: Vec::new(),
            written: 0,
        })))
    }

    /// Writes out what was gathered; to be polled by the connection's task whenever it has done its own.
    pub(super) fn poll_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.gathered.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(state.poll_gathered(cx))?;
        Pin::new(&mut state.io).poll_flush(cx)
    }

    fn state(&self) -> MutexGuard<'_, State<Io>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Io: AsyncWrite + Unpin> State<Io> {
    /// Writes all of it and lets its room go.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            let rest = &self.gathered[self.written..];
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.gathered = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Takes what there is room for; what is large on its own goes straight on.
    fn poll_gather(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.gathered.len() + length > MOST {
            ready!(self.poll_gathered(cx))?;
        }

        if length > MOST {
            return Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        }
        if self.gathered.capacity() == 0 {
            self.gathered.reserve(MOST);
        }

        for buf in bufs {
            self.gathered.extend_from_slice(buf);
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
        self.state().poll_gather(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.state().poll_gather(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.gathered.is_empty() {
            return Pin::new(&mut state.io).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        ready!(state.poll_gathered(cx))?;
        Pin::new(&mut state.io).poll_shutdown(cx)
    }
}

/// One TLS record (RFC 8446 section 5.1).
const MOST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        time::timeout,
    };

    use super::*;

    #[tokio::test]
    async fn gathers_what_is_written_until_it_is_let_out() {
        let (mut client, server) = duplex(64);
        let mut stream = WriteCoalescer::new(server);
        for word in [&b"one"[..], b"two"] {
            stream.write_all(word).await.unwrap();
            stream.flush().await.unwrap();
        }

        let mut byte = [0; 6];
        let early = timeout(Duration::from_millis(20), client.read(&mut byte));
        assert!(early.await.is_err());
        poll_fn(|cx| stream.poll_out(cx)).await.unwrap();
        assert_eq!(client.read(&mut byte).await.unwrap(), 6);

        let large = vec![b'x'; 3 * MOST];
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
