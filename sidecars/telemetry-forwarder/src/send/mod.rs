//! The sending side: one worker per signal takes batches and sees each one settled.
//!
//! ```text
//! queue ─▶ worker.rs ─▶ prepare (compress, or write as JSON) ─▶ send ─▶ classify
//!             ▲  │                                                        │
//!             │  └── retry.rs: how long wait_until the next try ◀── retry ─────┤
//!             └───── splittable in two ◀── refused as a whole ───────────────────┤
//!                                    delivered, or dropped and counted ◀──┘
//! ```

mod connection;
mod file;
mod http;
mod retry;
mod worker;

use std::time::Duration;

use bytes::Bytes;

use crate::config::{Config, Endpoint};
use crate::counters::ItemOutcome;
use crate::otlp::Signal;

pub use connection::TlsError;
pub(crate) use connection::get;
pub(crate) use worker::Worker;

/// What came of one attempt.
#[derive(Debug)]
pub(crate) enum SendOutcome {
    /// The destination took it, perhaps without some of its items.
    Delivered { rejected: usize, message: String },
    /// Not now; perhaps later.
    Retry {
        after: Option<Duration>,
        reason: String,
    },
    /// Never as it is; `Splittable` says that a part of it may fare better.
    Refused {
        reason: String,
        splittable: Splittable,
    },
}

/// Whether a refused request is worth trying in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Splittable {
    Yes,
    No,
}

/// Where telemetry goes; clones go to the same place, over connections of their own.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    Discard,
    File(file::FileSink),
    Http(Box<http::HttpSink>),
}

/// A batch in the form in which it is sent, over and over if need be.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    body: Bytes,
    gzip: bool,
}

impl Destination {
    /// What the settings name; reads the certificate authorities.
    pub(crate) fn new(config: &Config) -> Result<Self, TlsError> {
        Ok(match config.endpoint().unwrap_or(Endpoint::Discard) {
            Endpoint::Discard => Self::Discard,
            Endpoint::File(path) => Self::File(file::FileSink::new(path)),
            Endpoint::Http(base) => Self::Http(Box::new(http::HttpSink::new(&base, config)?)),
        })
    }

    /// What becomes of the items that it takes.
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
