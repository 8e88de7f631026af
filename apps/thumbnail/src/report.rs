//! One line of JSON about one picture: what it is of, what it cost, or why there is none.

use std::time::Instant;

use serde::Serialize;

use crate::source::Traffic;
use crate::worker::{Facts, Stages};
use crate::{Error, Kind};

/// The line that `run` prints and the service sends along.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Always `thumbnail`: tells the line from others on the same output.
    kind: &'static str,
    #[serde(flatten)]
    facts: Option<Facts>,
    /// Bytes of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// Bytes read of the film.
    bytes_fetched: u64,
    /// Requests made to read it.
    requests: u64,
    ms: Milliseconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    total: f64,
    #[serde(flatten)]
    stages: Option<Stages>,
}

#[derive(Debug, Serialize)]
struct Failure {
    kind: Kind,
    message: String,
}

impl Report {
    /// A report on work that began then and has read this much.
    pub(crate) fn new(began: Instant, traffic: &Traffic) -> Self {
        let total = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        Self {
            kind: "thumbnail",
            facts: None,
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

    pub(crate) fn between(mut self, input: String, output: String) -> Self {
        self.input = Some(input);
        self.output = Some(output);
        self
    }

    pub(crate) fn picture(mut self, facts: Facts, bytes: usize) -> Self {
        self.ms.stages = Some(facts.stages);
        self.facts = Some(facts);
        self.bytes = Some(bytes);
        self
    }

    pub(crate) fn error(mut self, error: &Error) -> Self {
        self.error = Some(Failure {
            kind: error.kind(),
            message: error.chain(),
        });
        self
    }

    /// The line, without its end.
    pub(crate) fn line(&self) -> String {
        // Only numbers and texts are in it: writing them cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
