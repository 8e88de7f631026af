//! Copies bytes between two streams in both directions until both have ended.
//!
//! An idle connection holds no buffer: bytes are read into one buffer per thread, and only those that
//! the other side does not accept at once are stored. The end of one direction is forwarded, and the
//! other direction goes on (half-close).

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep},
};

/// The number of bytes copied in each direction.
#[derive(Debug, Default)]
pub(crate) struct BytesCopied {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

impl BytesCopied {
    fn sum(&self) -> u64 {
        self.up.load(Ordering::Relaxed) + self.down.load(Ordering::Relaxed)
    }
}

/// Copies bytes until both sides have ended, an error occurs, or no byte is copied for `idle_timeout`.
pub(crate) async fn copy<A, B>(
    client: &mut A,
    next_hop: &mut B,
    copied: &BytesCopied,
    idle_timeout: Duration,
) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let both = poll_fn(|cx| {
        let up = up.poll(cx, client, next_hop, &copied.up)?;
        let down = down.poll(cx, next_hop, client, &copied.down)?;
        if up.is_ready() && down.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    });

    tokio::select! {
        done = both => done,
        error = wait_for_idle(copied, idle_timeout) => Err(error),
    }
}

/// Resolves when no byte was copied for this long.
async fn wait_for_idle(copied: &BytesCopied, idle_timeout: Duration) -> io::Error {
    let mut seen = copied.sum();
    let mut since = Instant::now();
    loop {
        tokio::time::sleep_until(since + idle_timeout).await;
        let sum = copied.sum();
        if sum == seen {
            return io::Error::new(
                io::ErrorKind::TimedOut,
                "no byte copied within `limits.stall_timeout`",
            );
        }

        (seen, since) = (sum, Instant::now());
        // A fixed pause instead of a timer reset per read, which would cost more than the copy.
        sleep(idle_timeout / 4).await;
    }
}

#[derive(Debug, Default)]
struct Direction {
    /// Bytes read but not yet written.
    pending: Vec<u8>,
    written: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The reader has ended; the writer must be shut down.
    Ending,
    Ended,
}

impl Direction {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        count: &AtomicU64,
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            // Before reading on, so that a slow receiver slows the sender down.
            if self.written < self.pending.len() {
                ready!(self.drain(cx, to))?;
            }
            match self.state {
                State::Open => {
                    if self.fill(cx, from, to, count)?.is_pending() {
                        // TLS may have buffered the last write; nothing else would flush it while the reader waits.
                        ready!(Pin::new(&mut *to).poll_flush(cx))?;
                        return Poll::Pending;
                    }
                }
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).or_else(ignore_closed)?;
                    self.state = State::Ended;
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.written < self.pending.len() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }

        self.pending = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes as much as the other side accepts.
    fn fill<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        count: &AtomicU64,
    ) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SHARED_BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            if Pin::new(from).poll_read(cx, &mut read)?.is_pending() {
                return Ok(Poll::Pending);
            }

            let bytes = read.filled();
            // End of stream.
            if bytes.is_empty() {
                self.state = State::Ending;
                return Ok(Poll::Ready(()));
            }

            count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let mut count_written = 0;
            while count_written < bytes.len() {
                match Pin::new(&mut *to).poll_write(cx, &bytes[count_written..])? {
                    // A writer that accepts nothing would make this loop forever.
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(count) => count_written += count,
                    Poll::Pending => {
                        // Only a slow receiver costs memory, and at most one buffer.
                        self.pending = bytes[count_written..].to_vec();
                        break;
                    }
                }
            }
            Ok(Poll::Ready(()))
        })
    }
}

/// Ignores the error of shutting down a stream that the peer has already closed.
fn ignore_closed(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotConnected | io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    }
}

thread_local! {
    static SHARED_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER_SIZE]);
}

/// Four TLS records, as many as rustls writes in one call.
const BUFFER_SIZE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn copies_more_than_the_buffers_and_forwards_each_end() {
        // Small buffers, so that every write is partial.
        let (mut client, mut near) = duplex(100);
        let (mut far, mut server) = duplex(77);
        let sent: Vec<u8> = (0..500_000u32).map(|at| at as u8).collect();
        let copied = BytesCopied::default();
        let copying = copy(&mut near, &mut far, &copied, IDLE_TIMEOUT);
        let asking = async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };

        let answering = async {
            let mut request = Vec::new();
            // The client's end arrives before the response has begun.
            server.read_to_end(&mut request).await.unwrap();
            server.write_all(&request[..1000]).await.unwrap();
            server.shutdown().await.unwrap();
            request
        };

        let (done, answer, request) = tokio::join!(copying, asking, answering);
        done.unwrap();
        assert_eq!(request, sent);
        assert_eq!(answer, &sent[..1000]);
        assert_eq!(copied.up.into_inner(), 500_000);
        assert_eq!(copied.down.into_inner(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_an_idle_connection_and_no_other() {
        let (mut client, mut near) = duplex(100);
        let (mut far, _server) = duplex(1000);
        let copied = BytesCopied::default();
        let start = Instant::now();
        let talking = async {
            for _ in 0..5 {
                sleep(Duration::from_secs(50)).await;
                client.write_all(b"x").await.unwrap();
            }
        };

        let copying = copy(&mut near, &mut far, &copied, IDLE_TIMEOUT);
        let (done, ()) = tokio::join!(copying, talking);
        assert_eq!(done.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let seconds = start.elapsed().as_secs();
        // A byte every 50 s until 250 s, then silence: the timeout is 60 s, and its detection may lag by 90 s.
        assert!((310..=400).contains(&seconds), "{seconds}");
    }
}
