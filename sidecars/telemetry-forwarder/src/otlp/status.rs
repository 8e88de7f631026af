//! `google.rpc.Status`, the body of every error response, in protobuf and in JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::wire::{put_delimited, put_key, put_varint};

/// The gRPC status codes that this program uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Success.
    Ok = 0,
    /// The request is malformed.
    InvalidArgument = 3,
    /// The request took too long to arrive.
    DeadlineExceeded = 4,
    /// The path is unknown.
    NotFound = 5,
    /// The request is too large.
    ResourceExhausted = 8,
    /// The method or the encoding is not supported.
    Unimplemented = 12,
    /// The client closed the connection or violated the protocol.
    Internal = 13,
    /// The forwarder is busy or stopping; the request can be retried.
    Unavailable = 14,
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// A message for the log of the sender.
    pub message: String,
    /// The delay after which the request may be retried; `None` makes the error permanent.
    pub retry_after: Option<Duration>,
}

impl Status {
    /// Creates a permanent error.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Creates a retryable error.
    pub fn unavailable(message: impl Into<String>, retry_after: Duration) -> Self {
        let status = Self::new(Code::Unavailable, message);
        Self {
            retry_after: Some(retry_after),
            ..status
        }
    }

    /// Encodes the status in protobuf, with `BadRequest` or `RetryInfo` as a detail.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Status { code: 1, message: 2, details: 3 }; a detail is an Any { type_url: 1, value: 2 }.
        put_key(&mut out, 1, 0);
        put_varint(&mut out, self.code as u64);
        put_delimited(&mut out, 2, self.message.as_bytes());

        if let Some((name, detail)) = self.detail() {
            let mut any = Vec::new();
            put_delimited(&mut any, 1, format!("{TYPE_PREFIX}{name}").as_bytes());
            put_delimited(&mut any, 2, &detail);
            put_delimited(&mut out, 3, &any);
        }

        out
    }

    /// Encodes the status in the JSON mapping of protobuf.
    pub fn to_json(&self) -> Value {
        let mut value = json!({ "code": self.code as u8, "message": self.message });
        let detail = match (self.code, self.retry_after) {
            (_, Some(after)) => json!({
                "@type": format!("{TYPE_PREFIX}{RETRY_INFO}"),
                "retryDelay": format!("{}s", after.as_secs()),
            }),
            (Code::InvalidArgument, None) => json!({
                "@type": format!("{TYPE_PREFIX}{BAD_REQUEST}"),
                "fieldViolations": [{ "description": self.message }],
            }),
            _ => return value,
        };

        value["details"] = json!([detail]);
        value
    }

    /// Encodes `google.rpc.RetryInfo` alone, for the trailer that the Python SDK reads.
    pub fn retry_info(&self) -> Option<Vec<u8>> {
        let after = self.retry_after?;
        let mut duration = Vec::new();
        // RetryInfo { retry_delay: 1 }, a Duration { seconds: 1 }.
        put_key(&mut duration, 1, 0);
        put_varint(&mut duration, after.as_secs());
        let mut out = Vec::new();
        put_delimited(&mut out, 1, &duration);
        Some(out)
    }

    fn detail(&self) -> Option<(&'static str, Vec<u8>)> {
        if let Some(info) = self.retry_info() {
            return Some((RETRY_INFO, info));
        }
        if self.code != Code::InvalidArgument {
            return None;
        }
        // BadRequest { field_violations: 1 }, each a FieldViolation { description: 2 }.
        let mut violation = Vec::new();
        put_delimited(&mut violation, 2, self.message.as_bytes());
        let mut bad_request = Vec::new();
        put_delimited(&mut bad_request, 1, &violation);
        Some((BAD_REQUEST, bad_request))
    }
}

const TYPE_PREFIX: &str = "type.googleapis.com/";
const RETRY_INFO: &str = "google.rpc.RetryInfo";
const BAD_REQUEST: &str = "google.rpc.BadRequest";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_retry_delay_in_both_formats() {
        let status = Status::unavailable("full", Duration::from_secs(1));
        assert_eq!(status.to_json()["details"][0]["retryDelay"], "1s");
        // RetryInfo { retry_delay: Duration { seconds: 1 } }
        assert_eq!(status.retry_info(), Some(vec![0x0a, 0x02, 0x08, 0x01]));
        assert!(status.to_protobuf().ends_with(&[0x0a, 0x02, 0x08, 0x01]));
    }

    #[test]
    fn encodes_a_bad_request_in_both_formats() {
        let status = Status::new(Code::InvalidArgument, "bad");
        let expected = json!({ "code": 3, "message": "bad", "details": [{
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "description": "bad" }],
        }]});

        assert_eq!(status.to_json(), expected);
        assert!(
            status
                .to_protobuf()
                .starts_with(&[0x08, 0x03, 0x12, 0x03, b'b', b'a', b'd'])
        );
    }
}
