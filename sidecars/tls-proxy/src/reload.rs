//! Detection of files that are replaced while the proxy runs.
//!
//! Files are polled, not watched: EFS and other mounted volumes send no inotify events, and after a
//! swapped symlink a watch stays on the old file. A change is a different device, inode, size or
//! modification time of the file at the end of the path.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use chassis::telemetry;
use opentelemetry::{KeyValue, metrics::Counter};
use tokio::time::sleep;

use crate::{Error, Proxy};

/// Device, inode, size and modification time of files; `None` for a missing one.
pub(crate) type FileStamps = Vec<Option<(u64, u64, u64, i64, i64)>>;

pub(crate) fn read_stamps(files: &[&Path]) -> FileStamps {
    let stamp = |path: &&Path| {
        let metadata = fs::metadata(path).ok()?;
        let time = (metadata.mtime(), metadata.mtime_nsec());
        Some((
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            time.0,
            time.1,
        ))
    };
    files.iter().map(stamp).collect()
}

/// The last message, so that a repeated one is not logged again.
#[derive(Debug, Default)]
pub(crate) struct LastMessage(Mutex<Option<String>>);

impl LastMessage {
    pub(crate) fn is_new(&self, text: &str) -> bool {
        let mut message = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = message.as_deref() != Some(text);
        *message = Some(text.to_owned());
        is_new
    }

    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn last(&self) -> Option<String> {
        let message = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        message.clone()
    }
}

/// The outcome of reloads.
#[derive(Debug)]
pub(crate) struct ReloadStatus {
    error: LastMessage,
    counter: Counter<u64>,
}

impl ReloadStatus {
    pub(crate) fn new() -> Self {
        Self {
            error: LastMessage::default(),
            counter: telemetry::counter(
                "tls_proxy.reloads",
                "{reload}",
                "ReloadStatus of certificates, authorities and revocation lists, by outcome.",
            ),
        }
    }

    /// Counts a reload and logs a change or a new error.
    pub(crate) fn record(&self, outcome: &Result<bool, Error>) {
        let outcome_name = match outcome {
            Ok(true) => {
                self.error.clear();
                tracing::info!("certificates replaced");
                "applied"
            }
            Ok(false) => {
                self.error.clear();
                "unchanged"
            }
            Err(error) => {
                if self.error.is_new(&error.to_string()) {
                    tracing::error!(%error, "cannot use the new certificates; keeping the old ones");
                }
                "failed"
            }
        };

        self.counter
            .add(1, &[KeyValue::new("outcome", outcome_name)]);
    }

    /// Returns the error of the last reload, if it failed.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.error.last()
    }
}

/// Reloads whenever a file has changed; never returns.
pub(crate) async fn watch(proxy: &Proxy, mut seen: FileStamps) {
    let config = proxy.config();
    let (interval, files) = (config.reload_interval, config.files());
    // Nothing to watch, but `serve` must not end.
    if interval.is_zero() || files.is_empty() {
        std::future::pending::<()>().await;
    }

    let mut failed = false;
    loop {
        sleep(interval.duration()).await;
        let now = read_stamps(&files);

        // After an error, such as a key that was replaced before its certificate, it tries again in any case:
        // the second file may have been written between the stamps and the read.
        if now == seen && !failed {
            continue;
        }
        seen = now;
        failed = proxy.reload().is_err();
    }
}
