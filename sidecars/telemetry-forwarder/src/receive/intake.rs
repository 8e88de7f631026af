//! Validates, enriches and queues a request of either protocol.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::body::{BodyError, Budget};
use crate::counters::{Counters, ItemOutcome};
use crate::enrichment::Enrichment;
use crate::otlp::enrich::{EnrichError, enrich_within};
use crate::otlp::prune::prune;
use crate::otlp::status::{Code, Status};
use crate::otlp::{Signal, validate::validate};
use crate::queue::{PushError, Queue};

/// The receiving side of the forwarder; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    enrichment: Enrichment,
    counters: Arc<Counters>,
    limits: RequestLimits,
}

/// The limits of a request.
#[derive(Debug, Clone)]
pub(crate) struct RequestLimits {
    /// Maximum size of the body, in bytes, before and after decompression.
    pub(crate) max_body_bytes: usize,
    /// Maximum time to receive the body.
    pub(crate) body_timeout: Duration,
    /// The memory for all requests in flight.
    pub(crate) budget: Budget,
}

impl Intake {
    /// Creates an intake that pushes to `queue`.
    pub(crate) fn new(
        queue: Queue,
        enrichment: Enrichment,
        counters: Arc<Counters>,
        limits: RequestLimits,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue,
                enrichment,
                counters,
                limits,
            }),
        }
    }

    pub(super) fn limits(&self) -> &RequestLimits {
        &self.shared.limits
    }

    /// Queues a request in protobuf; after `Ok` it may be acknowledged.
    pub(super) async fn accept(&self, signal: Signal, request: Bytes) -> Result<(), Status> {
        let malformed = |message: String| Status::new(Code::InvalidArgument, message);
        let items = validate(signal, &request).map_err(|error| malformed(error.to_string()))?;
        if items == 0 {
            // OTLP asks for success when a request carries no data; there is nothing to send.
            return Ok(());
        }

        let request = match prune(signal, &request) {
            Ok(Cow::Borrowed(_)) => request,
            Ok(Cow::Owned(pruned)) => Bytes::from(pruned),
            Err(error) => return Err(malformed(error.to_string())),
        };

        let attributes = self.shared.enrichment.attributes().await;
        // A request of the maximum size must still fit with the attributes of a few resources.
        let max_bytes = self.shared.limits.max_body_bytes.max(request.len()) + ENRICHMENT_MARGIN;
        let enriched = match enrich_within(&request, attributes, max_bytes) {
            Ok(Cow::Borrowed(_)) => request,
            Ok(Cow::Owned(enriched)) => Bytes::from(enriched),
            Err(error @ EnrichError::TooLarge) => {
                let message = format!("{error}, over {max_bytes} bytes; send smaller requests");
                return Err(Status::new(Code::ResourceExhausted, message));
            }
            Err(EnrichError::Wire(error)) => return Err(malformed(error.to_string())),
        };

        self.shared.queue.push(signal, enriched, items)?;
        self.shared
            .counters
            .add(signal, ItemOutcome::Accepted, items);

        Ok(())
    }

    pub(super) fn count_refusal(&self, signal: Signal, status: &Status) {
        let reason = match status.code {
            Code::InvalidArgument => "malformed",
            Code::ResourceExhausted => "too large",
            Code::Unavailable => "unavailable",
            _ => "other",
        };

        self.shared
            .counters
            .add(signal, ItemOutcome::Refused(reason), 1);
        tracing::debug!(
            signal = signal.name(),
            reason,
            error = status.message,
            "request refused"
        );
    }
}

impl From<PushError> for Status {
    fn from(error: PushError) -> Self {
        Self::unavailable(error.to_string(), RETRY_AFTER)
    }
}

impl From<BodyError> for Status {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge(_) => Self::new(Code::ResourceExhausted, message),
            BodyError::Busy => Self::unavailable(message, RETRY_AFTER),
            BodyError::Timeout(_) => Self::new(Code::DeadlineExceeded, message),
            BodyError::Aborted(_) => Self::new(Code::Internal, message),
            BodyError::InvalidGzip => Self::new(Code::InvalidArgument, message),
        }
    }
}

/// How much the attributes may add to a request of the maximum size.
const ENRICHMENT_MARGIN: usize = 64 * 1024;
/// Short, since a full queue drains as fast as the destination accepts requests.
const RETRY_AFTER: Duration = Duration::from_secs(1);
