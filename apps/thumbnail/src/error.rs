//! Errors and their kinds.
//!
//! A kind has a name, an exit code and an HTTP status. They are part of the interface: ECS shows the
//! exit code of a stopped task.

use std::borrow::Cow;
use std::error::Error as StdError;

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// An error with its kind and an optional cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Formats the message and its causes, separated by colons.
    pub fn chain(&self) -> String {
        chassis::format_chain(self)
    }
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request or a setting is invalid.
    Usage,
    /// The source does not exist.
    SourceNotFound,
    /// Access to the source is denied.
    SourceDenied,
    /// The source cannot be reached, or the connection failed.
    SourceNetwork,
    /// The source exceeds a size limit.
    SourceTooBig,
    /// The source is empty.
    Empty,
    /// The source is not a media file, or its container is not supported.
    NotMedia,
    /// The headers of the container are damaged or missing.
    Damaged,
    /// The source has no video stream.
    NoVideo,
    /// The codec is not supported, or a frame has too many pixels.
    Unsupported,
    /// No frame can be decoded.
    NoFrame,
    /// The picture cannot be encoded.
    Encode,
    /// The picture cannot be stored.
    SinkFailed,
    /// Access to the output is denied.
    SinkDenied,
    /// The deadline passed.
    Timeout,
    /// The decoding thread ended without a result.
    WorkerLost,
    /// The process was asked to stop before the picture was stored.
    Stopped,
}

impl ErrorKind {
    /// All kinds, by exit code.
    pub const ALL: [Self; 17] = [
        Self::Usage,
        Self::SourceNotFound,
        Self::SourceDenied,
        Self::SourceNetwork,
        Self::SourceTooBig,
        Self::Empty,
        Self::NotMedia,
        Self::Damaged,
        Self::NoVideo,
        Self::Unsupported,
        Self::NoFrame,
        Self::Encode,
        Self::SinkFailed,
        Self::SinkDenied,
        Self::Timeout,
        Self::WorkerLost,
        Self::Stopped,
    ];

    /// Returns the exit code of `thumbnail run`.
    pub fn exit_code(self) -> u8 {
        match self {
            // 2 is the usual code for usage errors; sources are 10 to 19, media 20 to 29, outputs 30 to 39.
            Self::Usage => 2,
            Self::SourceNotFound => 10,
            Self::SourceDenied => 11,
            Self::SourceNetwork => 12,
            Self::SourceTooBig => 13,
            Self::Empty => 20,
            Self::NotMedia => 21,
            Self::Damaged => 22,
            Self::NoVideo => 23,
            Self::Unsupported => 24,
            Self::NoFrame => 25,
            Self::Encode => 26,
            Self::SinkFailed => 30,
            Self::SinkDenied => 31,
            Self::Timeout => 40,
            Self::WorkerLost => 41,
            // The shell convention for SIGTERM: 128 plus the signal number.
            Self::Stopped => 143,
        }
    }

    /// Returns the status of the service's response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Usage | Self::Empty => StatusCode::BAD_REQUEST,
            Self::SourceDenied => StatusCode::FORBIDDEN,
            Self::SourceNotFound => StatusCode::NOT_FOUND,
            Self::SourceTooBig => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Damaged | Self::NoVideo | Self::Unsupported | Self::NoFrame => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::SourceNetwork => StatusCode::BAD_GATEWAY,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            // Not caused by the client.
            Self::Encode | Self::SinkFailed | Self::SinkDenied | Self::WorkerLost => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// Returns the name in reports and responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::SourceNotFound => "source_not_found",
            Self::SourceDenied => "source_denied",
            Self::SourceNetwork => "source_network",
            Self::SourceTooBig => "source_too_big",
            Self::Empty => "empty",
            Self::NotMedia => "not_media",
            Self::Damaged => "damaged",
            Self::NoVideo => "no_video",
            Self::Unsupported => "unsupported",
            Self::NoFrame => "no_frame",
            Self::Encode => "encode",
            Self::SinkFailed => "sink_failed",
            Self::SinkDenied => "sink_denied",
            Self::Timeout => "timeout",
            Self::WorkerLost => "worker_lost",
            Self::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_unique() {
        let codes: std::collections::BTreeSet<u8> =
            ErrorKind::ALL.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn names_match_their_serialization() {
        for kind in ErrorKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn chain_contains_each_cause_once() {
        let cause = std::io::Error::other("disk is full");
        let error = Error::new(ErrorKind::SinkFailed, "cannot write `a.jpg`").with_source(cause);
        assert_eq!(error.chain(), "cannot write `a.jpg`: disk is full");
    }
}
