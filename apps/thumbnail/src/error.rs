//! What can go wrong, in classes that a caller can act on.
//!
//! A class has one name, one exit code and one HTTP status. They are part of the interface: the
//! exit code is what ECS shows for a stopped task.

use std::borrow::Cow;
use std::error::Error as StdError;

use http::StatusCode;
use serde::Serialize;

/// A failure, with its class and, where there is one, its cause.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this class, said in this sentence.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same error, with what caused it.
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which class of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message and, after colons, the causes behind it.
    pub fn chain(&self) -> String {
        let mut text = self.message.to_string();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }

        text
    }
}

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request itself makes no sense.
    Usage,
    /// There is nothing at the source's address.
    SourceNotFound,
    /// The source exists and may not be read.
    SourceDenied,
    /// The source could not be reached or broke off.
    SourceNetwork,
    /// The source is bigger than the limits allow.
    SourceTooBig,
    /// The source holds no byte.
    Empty,
    /// The source is no media file, or of a container that is not accepted.
    NotMedia,
    /// The container is known and its headers are damaged or missing.
    Damaged,
    /// There is sound or text, and no moving picture.
    NoVideo,
    /// The codec is unknown or the picture has too many pixels.
    Unsupported,
    /// No frame could be decoded.
    NoFrame,
    /// The picture could not be written as JPEG or PNG.
    Encode,
    /// The picture could not be stored.
    SinkFailed,
    /// Storing the picture is not allowed.
    SinkDenied,
    /// The work took longer than its limit.
    Timeout,
    /// The worker that decodes ended without an answer.
    WorkerLost,
}

impl Kind {
    /// Every class, in the order of its exit code.
    pub const ALL: [Self; 16] = [
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
    ];

    /// The exit code of `thumbnail run`.
    pub fn exit_code(self) -> u8 {
        match self {
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
        }
    }

    /// The status of the service's answer.
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
            Self::Encode | Self::SinkFailed | Self::SinkDenied | Self::WorkerLost => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The name of the class in reports and in answers.
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_an_exit_code_of_its_own() {
        let codes: std::collections::BTreeSet<u8> =
            Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn the_name_in_reports_is_the_name_in_code() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn a_chain_names_the_causes_once() {
        let cause = std::io::Error::other("disk is full");
        let error = Error::new(Kind::SinkFailed, "cannot write `a.jpg`").because(cause);
        assert_eq!(error.chain(), "cannot write `a.jpg`: disk is full");
    }
}
