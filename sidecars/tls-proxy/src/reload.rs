//! Files that are replaced while the proxy runs.
//!
//! They are looked at, not watched: a mounted volume or EFS tells nobody of a change, and a symlink that is
//! swapped leaves a watch on the old file. What is looked at is where the path leads, its inode, size and time.

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

/// What can be seen of files without reading them; none of one that is not there.
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

/// The last thing that was said, so that it is not said again and again.
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

/// How reloads have gone.
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

    /// Counts a reload and says what is new about it.
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
                    tracing::error!(%error, "the new certificates cannot be used; the old ones stay");
                }
                "failed"
            }
        };

        self.counter
            .add(1, &[KeyValue::new("outcome", outcome_name)]);
    }

    /// Why the last one failed, if it did.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.error.last()
    }
}

/// ReloadStatus whenever a file has changed, for ever.
pub(crate) async fn watch(proxy: &Proxy, mut seen: FileStamps) {
    let config = proxy.config();
    let (interval, files) = (config.reload_interval, config.files());
    if interval.is_zero() || files.is_empty() {
        std::future::pending::<()>().await;
    }

    let mut failed = false;
    loop {
        sleep(interval.duration()).await;
        let now = read_stamps(&files);

        // A pair half replaced is tried again, whether or not anything changes.
        if now == seen && !failed {
            continue;
        }
        seen = now;
        failed = proxy.reload().is_err();
    }
}
