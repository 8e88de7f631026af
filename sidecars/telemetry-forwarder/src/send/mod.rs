//! The sending side: one worker per signal takes batches and sends each to its final outcome.
//!
//! ```text
//! queue ─▶ worker.rs ─▶ prepare (compress, or write as JSON) ─▶ send ─▶ outcome
//!             ▲  │                                                        │
//!             │  └── retry.rs: delay before the next attempt ◀── retry ─────┤
//!             └───── split in two ◀── refused as a whole ───────────────────┤
//!                                    delivered, or dropped and counted ◀────┘
//! ```

mod file;
mod http;
mod retry;
mod worker;

use std::time::Duration;

use bytes::Bytes;

use crate::config::{Config, Endpoint};
use crate::counters::ItemOutcome;
use crate::otlp::Signal;

pub use http::EndpointError;
pub(crate) use worker::Worker;

/// The outcome of one attempt.
#[derive(Debug)]
pub(crate) enum SendOutcome {
    /// The destination accepted the request, except for `rejected` items.
    Delivered { rejected: usize, message: String },
    /// The request may succeed later.
    Retry {
        after: Option<Duration>,
        reason: String,
    },
    /// The request will never succeed; a part of it may if it is `splittable`.
    Refused {
        reason: String,
        splittable: Splittable,
    },
}

/// Whether parts of a refused request may be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Splittable {
    Yes,
    No,
}

/// The destination of telemetry; clones share their idle connections.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    Discard,
    File(file::FileSink),
    // Boxed, since it is much larger than the other variants.
    Http(Box<http::HttpSink>),
}

/// An encoded batch, kept for retries.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    body: Bytes,
    gzip: bool,
}

impl Destination {
    /// Creates the destination of the settings; reads the certificate authorities.
    pub(crate) fn new(config: &Config) -> Result<Self, EndpointError> {
        Ok(match config.endpoint().unwrap_or(Endpoint::Discard) {
            Endpoint::Discard => Self::Discard,
            Endpoint::File(path) => Self::File(file::FileSink::new(path)),
            Endpoint::Http(base) => Self::Http(Box::new(http::HttpSink::new(base, config)?)),
        })
    }

    /// Returns the outcome of items that it accepts.
    pub(crate) fn item_outcome(&self) -> ItemOutcome {
        match self {
            Self::Discard => ItemOutcome::Dropped("no endpoint"),
            Self::File(_) | Self::Http(_) => ItemOutcome::Sent,
        }
    }

    pub(crate) fn prepare(&self, signal: Signal, request: Bytes) -> Result<Prepared, String> {
        match self {
            Self::Discard => Ok(Prepared {
                body: Bytes::new(),
                gzip: false,
            }),
            Self::File(_) => file::prepare(signal, &request),
            Self::Http(sink) => sink.prepare(request),
        }
    }

    pub(crate) async fn send(&mut self, signal: Signal, prepared: &Prepared) -> SendOutcome {
        match self {
            Self::Discard => SendOutcome::Delivered {
                rejected: 0,
                message: String::new(),
            },
            Self::File(sink) => sink.send(prepared).await,
            Self::Http(sink) => sink.send(signal, prepared).await,
        }
    }
}
