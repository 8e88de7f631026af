//! Counting takes a processor for a good part of a second, so it runs on threads of its own, as
//! many at once as there are processors, with a short queue before them.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use chassis::telemetry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use super::refusal::Refusal;
use crate::answer::Count;
use crate::classify::Models;
use crate::money::Currency;
use crate::photo::PhotoLimits;
use crate::picture::{Format, annotated, encode};
use crate::{Config, Options, count_with};

/// The workers and the queue before them.
pub(super) struct Workers {
    models: Arc<Models>,
    limits: PhotoLimits,
    /// One permit for each photo that is counted or waits.
    places: Arc<Semaphore>,
    /// One permit for each photo that is counted.
    working: Arc<Semaphore>,
}

impl Workers {
    pub(super) fn new(config: &Config) -> Self {
        let workers = config.worker_count();
        Self {
            models: Arc::new(Models::shipped()),
            limits: PhotoLimits {
                pixels: config.pixels,
                side: config.side,
            },
            places: Arc::new(Semaphore::new(workers + config.queue)),
            working: Arc::new(Semaphore::new(workers)),
        }
    }

    /// A place in the queue. It is taken before the body is read, so that what waits is bounded in
    /// memory as well.
    pub(super) fn place(&self) -> Result<Place<'_>, Refusal> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(Place {
                workers: self,
                _permit: permit,
            });
        }
        METERS.refused.add(1, &[]);
        Err(Refusal::Busy)
    }
}

/// A place in the queue.
pub(super) struct Place<'a> {
    workers: &'a Workers,
    _permit: OwnedSemaphorePermit,
}

type Outcome = (Count, Option<(Format, Vec<u8>)>);

impl Place<'_> {
    /// Waits for a worker and counts; a picture is drawn if a format is given.
    pub(super) async fn count(
        &self,
        bytes: Bytes,
        currency: Option<Currency>,
        picture: Option<Format>,
    ) -> Result<Outcome, Refusal> {
        let working = Arc::clone(&self.workers.working);
        let permit = working
            .acquire_owned()
            .await
            .map_err(|_| Refusal::Internal)?;
        let models = Arc::clone(&self.workers.models);
        let options = Options {
            currency,
            limits: self.workers.limits,
        };

        let span = Span::current();
        let work = move || {
            // Held to the end of the work even if the client has gone and nobody waits for it.
            let _permit = permit;
            span.in_scope(|| work(&models, &bytes, options, picture))
        };

        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(%error, "counting a photo ended early");
                Err(Refusal::Internal)
            }
        }
    }
}

fn work(
    models: &Models,
    bytes: &[u8],
    options: Options,
    picture: Option<Format>,
) -> Result<Outcome, Refusal> {
    let counted = count_with(models, bytes, options)?;
    METERS.photos.add(1, &[]);
    METERS.coins.add(counted.count.coins.len() as u64, &[]);
    let Some(format) = picture else {
        return Ok((counted.count, None));
    };
    let drawn = tracing::info_span!("annotate").in_scope(|| encode(&annotated(&counted), format));

    match drawn {
        Ok(bytes) => Ok((counted.count, Some((format, bytes)))),
        Err(error) => {
            tracing::error!(%error, "annotated picture could not be written");
            Err(Refusal::Internal)
        }
    }
}

struct Meters {
    photos: opentelemetry::metrics::Counter<u64>,
    coins: opentelemetry::metrics::Counter<u64>,
    refused: opentelemetry::metrics::Counter<u64>,
}

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters {
    photos: telemetry::counter("coins.photos", "{photo}", "Photos counted"),
    coins: telemetry::counter("coins.coins", "{coin}", "Coins found in photos"),
    refused: telemetry::counter(
        "coins.refused",
        "{photo}",
        "Photos refused for want of a worker",
    ),
});
