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
pub(crate) type Stamps = Vec<Option<(u64, u64, u64, i64, i64)>>;

pub(crate) fn stamps(files: &[&Path]) -> Stamps {
    let stamp = |path: &&Path| {
        let seen = fs::metadata(path).ok()?;
        let time = (seen.mtime(), seen.mtime_nsec());
        Some((seen.dev(), seen.ino(), seen.size(), time.0, time.1))
    };
    files.iter().map(stamp).collect()
}

/// The last thing that was said, so that it is not said again and again.
#[derive(Debug, Default)]
pub(crate) struct Said(Mutex<Option<String>>);

impl Said {
    pub(crate) fn is_news(&self, text: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = said.as_deref() != Some(text);
        *said = Some(text.to_owned());
        is_news
    }

    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn last(&self) -> Option<String> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }
}

/// How reloads have gone.
#[derive(Debug)]
pub(crate) struct Reloads {
    fault: Said,
    counter: Counter<u64>,
}

impl Reloads {
    pub(crate) fn new() -> Self {
        Self {
            fault: Said::default(),
            counter: telemetry::counter(
                "tls_proxy.reloads",
                "{reload}",
                "Reloads of certificates, authorities and revocation lists, by outcome.",
            ),
        }
    }

    /// Counts a reload and says what is new about it.
    pub(crate) fn note(&self, outcome: &Result<bool, Error>) {
        let word = match outcome {
            Ok(true) => {
                self.fault.forget();
                tracing::info!("certificates replaced");
                "applied"
            }
            Ok(false) => {
                self.fault.forget();
                "unchanged"
            }
            Err(error) => {
                if self.fault.is_news(&error.to_string()) {
                    tracing::error!(%error, "the new certificates cannot be used; the old ones stay");
                }
                "failed"
            }
        };

        self.counter.add(1, &[KeyValue::new("outcome", word)]);
    }

    /// Why the last one failed, if it did.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.last()
    }
}

/// Reloads whenever a file has changed, for ever.
pub(crate) async fn watch(proxy: &Proxy, mut seen: Stamps) {
    let config = proxy.config();
    let (interval, files) = (config.reload_interval, config.files());
    if interval.is_zero() || files.is_empty() {
        std::future::pending::<()>().await;
    }

    let mut failed = false;
    loop {
        sleep(interval.duration()).await;
        let now = stamps(&files);

        // A pair half replaced is tried again, whether or not anything changes.
        if now == seen && !failed {
            continue;
        }
        seen = now;
        failed = proxy.reload().is_err();
    }
}
