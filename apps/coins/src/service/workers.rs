//! Worker threads: counting takes a processor for a good part of a second, so it runs on blocking
//! threads, one per processor, with a short queue.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use chassis::telemetry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use super::rejection::Rejection;
use crate::answer::Count;
use crate::classify::Models;
use crate::money::Currency;
use crate::photo::PhotoLimits;
use crate::picture::{Format, annotate, encode};
use crate::{Config, Options, count_with};

/// The workers and their queue.
pub(super) struct Workers {
    models: Arc<Models>,
    limits: PhotoLimits,
    /// One permit per photo that is counted or waiting.
    queue: Arc<Semaphore>,
    /// One permit per photo that is counted.
    running: Arc<Semaphore>,
}

impl Workers {
    pub(super) fn new(config: &Config) -> Self {
        let workers = config.worker_count();
        Self {
            models: Arc::new(Models::builtin()),
            limits: PhotoLimits {
                max_pixels: config.max_pixels,
                max_side_pixels: config.max_side_pixels,
            },
            queue: Arc::new(Semaphore::new(workers + config.max_queued_requests)),
            running: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Reserves a slot in the queue. It is reserved before the body is read, so that waiting
    /// requests are bounded in memory too.
    pub(super) fn acquire_slot(&self) -> Result<QueueSlot<'_>, Rejection> {
        if let Ok(permit) = Arc::clone(&self.queue).try_acquire_owned() {
            return Ok(QueueSlot {
                workers: self,
                _permit: permit,
            });
        }
        METRICS.rejected.add(1, &[]);
        Err(Rejection::Busy)
    }
}

/// A slot in the queue.
pub(super) struct QueueSlot<'a> {
    workers: &'a Workers,
    _permit: OwnedSemaphorePermit,
}

type Outcome = (Count, Option<(Format, Vec<u8>)>);

impl QueueSlot<'_> {
    /// Waits for a worker and counts; also draws a picture if a format is given.
    pub(super) async fn count(
        &self,
        bytes: Bytes,
        currency: Option<Currency>,
        picture: Option<Format>,
    ) -> Result<Outcome, Rejection> {
        let running = Arc::clone(&self.workers.running);
        // Waits for a worker; the slot in the queue already bounds how many wait.
        let permit = running
            .acquire_owned()
            .await
            .map_err(|_| Rejection::Internal)?;
        let models = Arc::clone(&self.workers.models);
        let options = Options {
            currency,
            limits: self.workers.limits,
        };

        // The blocking thread has no span, so the request's is entered there.
        let span = Span::current();
        let work = move || {
            // Held until the end of the work even if the client is gone: a blocking task cannot be
            // cancelled.
            let _permit = permit;
            span.in_scope(|| count_photo(&models, &bytes, options, picture))
        };

        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "counting failed");
                Err(Rejection::Internal)
            }
        }
    }
}

fn count_photo(
    models: &Models,
    bytes: &[u8],
    options: Options,
    picture: Option<Format>,
) -> Result<Outcome, Rejection> {
    let counted = count_with(models, bytes, options)?;
    METRICS.photos.add(1, &[]);
    METRICS.coins.add(counted.count.coins.len() as u64, &[]);
    let Some(format) = picture else {
        return Ok((counted.count, None));
    };
    let drawn = tracing::info_span!("annotate").in_scope(|| encode(&annotate(&counted), format));

    match drawn {
        Ok(bytes) => Ok((counted.count, Some((format, bytes)))),
        Err(error) => {
            tracing::error!(%error, "cannot encode the annotated picture");
            Err(Rejection::Internal)
        }
    }
}

struct Metrics {
    photos: opentelemetry::metrics::Counter<u64>,
    coins: opentelemetry::metrics::Counter<u64>,
    rejected: opentelemetry::metrics::Counter<u64>,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics {
    photos: telemetry::counter("coins.photos", "{photo}", "Photos counted"),
    coins: telemetry::counter("coins.coins", "{coin}", "Coins found in photos"),
    rejected: telemetry::counter(
        "coins.rejected",
        "{photo}",
        "Photos rejected because the queue was full",
    ),
});
