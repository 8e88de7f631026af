//! Joins small vectored writes into one plain write.
//!
//! hyper writes the header section and a small body as two slices. A `writev` of both costs more than
//! copying them together and one `write`. For plain TCP only: TLS copies them into one record anyway.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that joins small vectored writes.
#[derive(Debug)]
pub(super) struct VectoredJoin<Io>(pub(super) Io);

impl<Io: AsyncRead + Unpin> AsyncRead for VectoredJoin<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for VectoredJoin<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
        // A single slice needs no copy.
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return self.poll_write(cx, only);
        }

        let length: usize = bufs.iter().map(|buf| buf.len()).sum();
        // Large bodies go out without a copy.
        if length > MAX_JOINED {
            return Pin::new(&mut self.0).poll_write_vectored(cx, bufs);
        }

        let mut joined = [0; MAX_JOINED];
        let mut end = 0;
        for buf in bufs {
            joined[end..end + buf.len()].copy_from_slice(buf);
            end += buf.len();
        }

        self.poll_write(cx, &joined[..end])
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Largest vectored write that is copied.
const MAX_JOINED: usize = 2048;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn keeps_the_order_of_small_and_large_writes() {
        let (client, mut server) = tokio::io::duplex(1 << 16);
        let mut client = VectoredJoin(client);
        let large = vec![b'l'; MAX_JOINED];
        let all: [&[&[u8]]; 4] = [
            &[b"head"],
            &[b"", b"one"],
            &[b"head", b"body"],
            &[b"head", &large],
        ];

        let mut expected = Vec::new();
        for pieces in all {
            let mut rest = pieces.concat();
            expected.extend_from_slice(&rest);
            while !rest.is_empty() {
                let skipped = pieces.concat().len() - rest.len();
                let slices: Vec<IoSlice<'_>> = if skipped == 0 {
                    pieces.iter().map(|piece| IoSlice::new(piece)).collect()
                } else {
                    vec![IoSlice::new(&rest)]
                };

                // A write may be partial; the rest is then written as one slice.
                let count =
                    poll_fn(|cx| Pin::new(&mut client).poll_write_vectored(cx, &slices)).await;
                rest = rest.split_off(count.unwrap());
            }
        }

        drop(client);
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, expected);
    }
}
