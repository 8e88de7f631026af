//! Worker threads: counting takes a processor for a good part of a second, so it runs on blocking
//! threads, one per processor, with a short queue.

use std::sync::{Arc, LazyLock};

use chassis::http::ReceivedBody;
use chassis::memory::MemoryBudget;
use chassis::telemetry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use super::rejection::Rejection;
use crate::answer::Count;
use crate::classify::Models;
use crate::money::Currency;
use crate::photo::{PhotoLimits, decoding_bytes};
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
    /// The memory for the photos that are decoded.
    memory: MemoryBudget,
}

impl Workers {
    pub(super) fn new(config: &Config) -> Self {
        let workers = config.worker_count();
        Self {
            models: Arc::new(Models::builtin()),
            limits: config.photo_limits(),
            memory: MemoryBudget::new(config.decoding_memory() as usize),
            queue: Arc::new(Semaphore::new(workers + config.max_queued_requests)),
            running: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Reserves a slot in the queue, for a request whose body is complete: a client that sends slowly
    /// takes none.
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
    /// Waits for a worker and for memory, and counts; also draws a picture if a format is given.
    pub(super) async fn count(
        &self,
        body: ReceivedBody,
        currency: Option<Currency>,
        picture: Option<Format>,
    ) -> Result<Outcome, Rejection> {
        let limits = self.workers.limits;
        let running = Arc::clone(&self.workers.running);
        // Waits for a worker; the slot in the queue already bounds how many wait.
        let permit = running
            .acquire_owned()
            .await
            .map_err(|_| Rejection::Internal)?;

        let bytes = body.bytes.clone();
        let cost = blocking(move || Ok(decoding_bytes(&bytes, limits)?)).await?;
        // In the order of the requests; the limit of a photo is not above the budget.
        let memory = self.workers.memory.reserve(cost as usize).await;
        let memory = memory.ok_or(Rejection::Internal)?;
        let models = Arc::clone(&self.workers.models);
        let options = Options { currency, limits };

        // The blocking thread has no span, so the request's is entered there.
        let span = Span::current();
        let work = move || {
            // Held until the end of the work even if the client is gone: a blocking task cannot be
            // cancelled.
            let _held = (permit, memory);
            span.in_scope(|| count_photo(&models, &body.bytes, options, picture))
        };
        blocking(work).await
    }
}

/// Runs `work` on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<T, Rejection> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(%error, "counting failed");
            Err(Rejection::Internal)
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
