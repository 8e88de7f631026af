//! The report on a picture, as a line of JSON: its source and cost, or the error.

use std::time::Instant;

use serde::Serialize;

use crate::source::Traffic;
use crate::worker::{PictureInfo, StageTimings};
use crate::{Error, ErrorKind};

/// The report that `run` prints and the service returns in a header.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always `thumbnail`, to distinguish the line from others on the same output.
    kind: &'static str,
    #[serde(flatten)]
    info: Option<PictureInfo>,
    /// Size of the picture, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// Bytes read from the video.
    bytes_fetched: u64,
    /// Requests made to read the video.
    requests: u64,
    ms: Milliseconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorReport>,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    total: f64,
    #[serde(flatten)]
    stages: Option<StageTimings>,
}

#[derive(Debug, Serialize)]
struct ErrorReport {
    kind: ErrorKind,
    message: String,
}

impl Report {
    /// Creates a report on work that started at `start` and caused this traffic.
    pub(crate) fn new(start: Instant, traffic: &Traffic) -> Self {
        // Milliseconds with three decimals: finer digits are noise.
        let total = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        Self {
            kind: "thumbnail",
            info: None,
            bytes: None,
            bytes_fetched: traffic.bytes(),
            requests: traffic.requests(),
            ms: Milliseconds {
                total,
                stages: None,
            },
            input: None,
            output: None,
            error: None,
        }
    }

    pub(crate) fn with_locations(mut self, input: String, output: String) -> Self {
        self.input = Some(input);
        self.output = Some(output);
        self
    }

    pub(crate) fn with_picture(mut self, info: PictureInfo, bytes: usize) -> Self {
        self.ms.stages = Some(info.stages);
        self.info = Some(info);
        self.bytes = Some(bytes);
        self
    }

    pub(crate) fn with_error(mut self, error: &Error) -> Self {
        self.error = Some(ErrorReport {
            kind: error.kind(),
            message: error.chain(),
        });
        self
    }

    /// Formats the report as a line of JSON, without a newline.
    pub(crate) fn to_json(&self) -> String {
        // Serialization fails only for maps with other keys than strings, which it has none of.
        serde_json::to_string(self).unwrap_or_default()
    }
}
