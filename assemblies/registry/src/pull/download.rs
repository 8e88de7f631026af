//! Downloads one blob, and continues where an interrupted download stopped.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{Counter, PullLimits};
use crate::digest::{Digest, Hasher};
use crate::error::ErrorKind;
use crate::layout::LayoutError;
use crate::session::Session;
use crate::store::Store;
use crate::transport;

/// The download of one blob.
pub(super) struct Download {
    pub(super) session: Arc<Session>,
    pub(super) store: Store,
    pub(super) limits: PullLimits,
    pub(super) counter: Arc<Counter>,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Download {
    pub(super) async fn run(self) -> Result<(), ErrorKind> {
        if self.store.has(&self.digest, self.size) {
            self.counter.add(self.size);
            return Ok(());
        }

        let limit = self.limits.blob_timeout;
        let host = self.session.host();
        let result = timeout(limit, self.download()).await;
        result.unwrap_or(Err(ErrorKind::Timeout { host, limit }))
    }

    async fn download(&self) -> Result<(), ErrorKind> {
        let mut partial = Partial::open(&self.store, &self.digest, self.size)?;
        self.counter.add(partial.length);
        let mut retries = 0;
        let mut furthest = partial.length;
        while partial.length < self.size {
            let Err(error) = self.receive(&mut partial).await else {
                continue;
            };
            if partial.length > furthest {
                // Further than ever, so the registry works. The same bytes again after a restart are no progress.
                furthest = partial.length;
                retries = 0;
            }

            if !is_temporary(&error) {
                return Err(error);
            }
            let Some(wait) = self.session.retry_wait(retries, requested_wait(&error)) else {
                return Err(error);
            };
            retries += 1;
            tokio::time::sleep(wait).await;
        }

        self.finish(partial)
    }

    /// Receives bytes until the blob is complete or the connection ends.
    async fn receive(&self, partial: &mut Partial) -> Result<(), ErrorKind> {
        let host = self.session.host();
        let response = self.session.open_blob(&self.digest, partial.length).await?;
        let status = response.status();
        let continues =
            status == StatusCode::PARTIAL_CONTENT && starts_at(&response, partial.length);
        if !continues {
            // The registry ignores `Range`: everything comes again.
            partial.restart()?;
        }
        if status != StatusCode::OK && !continues {
            return Err(ErrorKind::Interrupted {
                host,
                cause: "the registry cannot continue a download".to_owned(),
            });
        }

        let mut body = response.into_body();
        let idle = self.session.limits().request_timeout;
        loop {
            let timeout_error = ErrorKind::Timeout {
                host: host.clone(),
                limit: idle,
            };
            let frame = timeout(idle, body.frame())
                .await
                .map_err(|_| timeout_error)?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| transport::interruption(&host, &error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() as u64 > self.size - partial.length {
                return Err(self.size_mismatch(host));
            }
            partial.write(&data)?;
            self.counter.add(data.len() as u64);
        }

        if partial.length == self.size {
            return Ok(());
        }
        Err(ErrorKind::Interrupted {
            host,
            cause: "the connection ended early".to_owned(),
        })
    }

    fn size_mismatch(&self, host: String) -> ErrorKind {
        ErrorKind::SizeMismatch {
            host,
            digest: self.digest.clone(),
            expected: self.size,
        }
    }

    /// Verifies the digest and moves the file to its place.
    fn finish(&self, partial: Partial) -> Result<(), ErrorKind> {
        let actual = partial.hasher.clone().finish();
        if actual != self.digest {
            // A kept file would make every later attempt fail too.
            let _ = std::fs::remove_file(&partial.path);
            return Err(ErrorKind::DigestMismatch {
                host: self.session.host(),
                expected: self.digest.to_string(),
                actual,
            });
        }
        let finished = self.store.finish_blob(Ok(()), &partial.path, &self.digest);
        // Another process may have finished the same file between its opening and its locking here.
        if finished.is_err() && self.store.has(&self.digest, self.size) {
            return Ok(());
        }
        Ok(finished?)
    }
}

/// The received part of a blob.
struct Partial {
    file: File,
    path: PathBuf,
    length: u64,
    hasher: Hasher,
}

impl Partial {
    /// Opens what an earlier download left, or an empty file.
    fn open(store: &Store, digest: &Digest, size: u64) -> Result<Self, ErrorKind> {
        let shared = store.partial(digest);
        let mut options = File::options();
        options.read(true).append(true).create(true);
        let file = options
            .open(&shared)
            .map_err(|error| write_error(&shared, error))?;

        // Another process downloads the same blob: this one does so on its own.
        let (path, file) = match file.try_lock() {
            Ok(()) => (shared, file),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {
                let path = store.unique_partial(digest);
                let file = options
                    .open(&path)
                    .map_err(|error| write_error(&path, error))?;
                (path, file)
            }
        };

        let mut partial = Self {
            file,
            path,
            length: 0,
            hasher: Hasher::default(),
        };
        partial.read_existing()?;
        if partial.length > size {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn read_existing(&mut self) -> Result<(), ErrorKind> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = self.file.read(&mut buffer);
            let count = count.map_err(|error| write_error(&self.path, error))?;
            if count == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..count]);
            self.length += count as u64;
        }
    }

    fn restart(&mut self) -> Result<(), ErrorKind> {
        let cut = self.file.set_len(0);
        cut.map_err(|error| write_error(&self.path, error))?;
        self.length = 0;
        self.hasher = Hasher::default();
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), ErrorKind> {
        let written = self.file.write_all(data);
        written.map_err(|error| write_error(&self.path, error))?;
        self.hasher.update(data);
        self.length += data.len() as u64;
        Ok(())
    }
}

fn write_error(path: &std::path::Path, source: io::Error) -> ErrorKind {
    LayoutError::File {
        action: "write",
        path: path.to_owned(),
        source,
    }
    .into()
}

/// Returns whether a later attempt may succeed.
fn is_temporary(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::Status { status, .. } => *status >= 500,
        ErrorKind::RateLimited { .. }
        | ErrorKind::Interrupted { .. }
        | ErrorKind::Timeout { .. }
        | ErrorKind::Connect { .. }
        | ErrorKind::UnknownHost { .. } => true,
        _ => false,
    }
}

/// Returns the wait that the registry requests before the next attempt.
fn requested_wait(kind: &ErrorKind) -> Option<Duration> {
    match kind {
        ErrorKind::RateLimited { wait, .. } => *wait,
        _ => None,
    }
}

/// Returns whether a partial response begins at an offset (RFC 9110, section 14.4).
fn starts_at(response: &Response<Incoming>, offset: u64) -> bool {
    let range = response.headers().get("content-range");
    let range = range.and_then(|text| text.to_str().ok()?.strip_prefix("bytes "));
    range.is_some_and(|range| range.starts_with(&format!("{offset}-")))
}
