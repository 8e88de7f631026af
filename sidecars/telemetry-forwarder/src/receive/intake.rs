//! Validates, enriches and queues a request of either protocol.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::http::{BodyPool, HeldMemory, ReceiveError};
use chassis::memory::MemoryBudget;
use tokio::time::timeout;

use super::body::BodyError;
use crate::counters::{Counters, ItemOutcome};
use crate::enrichment::Enrichment;
use crate::otlp::enrich::{EnrichError, enrich_within, max_enriched_bytes};
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
    /// Receives the bodies.
    pub(crate) bodies: BodyPool,
    /// The memory for all requests, from their first byte until they are sent on.
    pub(crate) memory: MemoryBudget,
    /// Larger requests are split before they are sent, in bytes.
    pub(crate) max_batch_bytes: usize,
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

    /// Queues a request in protobuf, with the memory it holds; after `Ok` it may be acknowledged.
    pub(super) async fn accept(
        &self,
        signal: Signal,
        mut request: Bytes,
        memory: HeldMemory,
    ) -> Result<(), Status> {
        let items = validate(signal, &request).map_err(malformed_error)?;
        if items == 0 {
            // OTLP asks for success when a request carries no data; there is nothing to send.
            return Ok(());
        }

        let limits = &self.shared.limits;
        let attributes = self.shared.enrichment.attributes().await;
        // Reserved before they are made: the copy without empty envelopes, then the one with attributes. At the end
        // there are only the latter and the entry of the queue.
        let most = max_enriched_bytes(&request, attributes);
        // A request of the maximum size must still fit with the attributes of a few resources.
        let max_bytes = limits.max_body_bytes.max(request.len()) + ENRICHMENT_MARGIN;
        let copy = most.min(max_bytes + ENRICHMENT_MARGIN) + ENTRY_BYTES;
        let reserving = timeout(MAX_WAIT, limits.memory.reserve(copy));
        let Ok(Some(mut reserved)) = reserving.await else {
            return Err(BodyError::from(ReceiveError::Busy).into());
        };

        if let Cow::Owned(pruned) = prune(signal, &request).map_err(malformed_error)? {
            request = pruned.into();
        }
        let enriched = match enrich_within(&request, attributes, max_bytes) {
            Ok(Cow::Borrowed(_)) => request.clone(),
            Ok(Cow::Owned(enriched)) => Bytes::from(enriched),
            Err(error @ EnrichError::TooLarge) => {
                let message = format!("{error}, over {max_bytes} bytes; send smaller requests");
                return Err(Status::new(Code::ResourceExhausted, message));
            }
            Err(EnrichError::Wire(error)) => return Err(malformed_error(error)),
        };
        drop(request);

        // A request that is larger than a batch is copied once more when it is split.
        let bytes = enriched.len();
        let kept = if bytes > limits.max_batch_bytes {
            2 * bytes
        } else {
            bytes
        };
        reserved.merge(memory.into_reservation());
        reserved.shrink_to(kept + ENTRY_BYTES);

        self.shared.queue.push(signal, enriched, items, reserved)?;
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
            BodyError::Receive(ReceiveError::TooLarge { limit }) => {
                let message = format!(
                    "the request is larger than {limit} bytes; set `max_body_bytes` or the memory of the \
                     container to allow more"
                );
                Self::new(Code::ResourceExhausted, message)
            }
            BodyError::Receive(ReceiveError::Busy) => Self::unavailable(message, RETRY_AFTER),
            BodyError::Receive(ReceiveError::Timeout(_) | ReceiveError::TooSlow { .. }) => {
                Self::new(Code::DeadlineExceeded, message)
            }
            BodyError::Receive(_) => Self::new(Code::Internal, message),
            BodyError::InvalidGzip => Self::new(Code::InvalidArgument, message),
        }
    }
}

fn malformed_error(error: impl std::fmt::Display) -> Status {
    Status::new(Code::InvalidArgument, error.to_string())
}

/// How long a request waits for memory; after that the sender should try again instead.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// What a request in the queue takes besides its bytes: its entry, and its allocations.
const ENTRY_BYTES: usize = 256;
/// How much the attributes may add to a request of the maximum size.
const ENRICHMENT_MARGIN: usize = 64 * 1024;
/// Short, since a full queue drains as fast as the destination accepts requests.
const RETRY_AFTER: Duration = Duration::from_secs(1);
