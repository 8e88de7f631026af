//! The body of an upload: a file, read while it is sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::Progress;

/// The first `size` bytes of a file. A file that is shorter ends the upload with an error.
#[derive(Debug)]
pub(super) struct FileBody {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    remaining: u64,
    sent: Arc<SentBytes>,
}

/// The bytes of one attempt, which count as progress unless the attempt fails.
#[derive(Debug)]
pub(super) struct SentBytes {
    count: AtomicU64,
    progress: Arc<Progress>,
}

impl SentBytes {
    pub(super) fn new(progress: &Arc<Progress>) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicU64::new(0),
            progress: progress.clone(),
        })
    }

    /// Returns the number of bytes so far.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Takes the bytes of a failed attempt back.
    pub(super) fn revert(&self) {
        let count = self.count.swap(0, Ordering::Relaxed);
        self.progress.remove(count);
    }

    fn add(&self, bytes: u64) {
        self.count.fetch_add(bytes, Ordering::Relaxed);
        self.progress.add(bytes);
    }
}

impl FileBody {
    /// Opens a file and starts to read it.
    pub(super) fn open(path: &Path, size: u64, sent: Arc<SentBytes>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (sender, chunks) = mpsc::channel(QUEUED_CHUNKS);
        // File reads block, so they run on the thread pool; the bounded queue makes them wait for the network.
        tokio::task::spawn_blocking(move || {
            let mut remaining = size;
            while remaining > 0 {
                let mut chunk = vec![0; CHUNK.min(remaining as usize)];
                let outcome = file.read_exact(&mut chunk).map(|()| Bytes::from(chunk));
                let is_error = outcome.is_err();
                remaining -= CHUNK.min(remaining as usize) as u64;
                // A closed queue means that the upload has ended.
                if sender.blocking_send(outcome).is_err() || is_error {
                    return;
                }
            }
        });

        Ok(Self {
            chunks,
            remaining: size,
            sent,
        })
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.chunks.poll_recv(context).map(|chunk| {
            let chunk = chunk?;
            Some(chunk.map(|chunk| {
                self.remaining -= chunk.len() as u64;
                self.sent.add(chunk.len() as u64);
                Frame::data(chunk)
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    /// Exact, so that the request has a `Content-Length`: Amazon ECR refuses chunked uploads.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

const CHUNK: usize = 128 * 1024;
const QUEUED_CHUNKS: usize = 2;
