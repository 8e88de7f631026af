//! Counting takes a processor for a good part of a second, so it runs on threads of its own, as
//! many at once as there are processors, with a short queue before them.

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

/// The workers and the queue before them.
pub(super) struct Workers {
    models: Arc<Models>,
    limits: PhotoLimits,
    /// One permit for each photo that is counted or waits.
    queue: Arc<Semaphore>,
    /// One permit for each photo that is counted.
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

    /// A place in the queue. It is taken before the body is read, so that what waits is bounded in
    /// memory as well.
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

/// A place in the queue.
pub(super) struct QueueSlot<'a> {
    workers: &'a Workers,
    _permit: OwnedSemaphorePermit,
}

type Outcome = (Count, Option<(Format, Vec<u8>)>);

impl QueueSlot<'_> {
    /// Waits for a worker and counts; a picture is drawn if a format is given.
    pub(super) async fn count(
        &self,
        bytes: Bytes,
        currency: Option<Currency>,
        picture: Option<Format>,
    ) -> Result<Outcome, Rejection> {
        let running = Arc::clone(&self.workers.running);
        let permit = running
            .acquire_owned()
            .await
            .map_err(|_| Rejection::Internal)?;
        let models = Arc::clone(&self.workers.models);
        let options = Options {
            currency,
            limits: self.workers.limits,
        };

        let span = Span::current();
        let work = move || {
            // Held to the end of the work even if the client has gone and nobody waits for it.
            let _permit = permit;
            span.in_scope(|| count_photo(&models, &bytes, options, picture))
        };

        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "counting a photo ended early");
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
            tracing::error!(%error, "annotate picture could not be written");
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
        "Photos refused for want of a worker",
    ),
});
