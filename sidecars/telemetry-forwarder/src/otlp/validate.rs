//! Validates OTLP requests without decoding them, and counts their items.
//!
//! Batches are built by concatenation, and a backend refuses a request as a whole, so a malformed
//! request would take the rest of its batch with it. Nothing enters the queue unvalidated.

use super::Signal;
use super::tables::{Cardinality, Field, Kind, Message};
use super::wire::{Records, Value, WireError, take_varint};

/// An error in a request and its location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{error} (in `{message}`)")]
pub struct ValidationError {
    /// The innermost message that has the error.
    pub message: &'static str,
    /// The error in that message.
    pub error: WireError,
}

/// Validates a request and returns its number of items: spans, data points or log records.
pub fn validate(signal: Signal, request: &[u8]) -> Result<usize, ValidationError> {
    let mut items = 0;
    check(signal.request(), request, 0, &mut items)?;
    Ok(items)
}

fn check(
    message: &'static Message,
    bytes: &[u8],
    depth: usize,
    items: &mut usize,
) -> Result<(), ValidationError> {
    let at = |error| ValidationError {
        message: message.name,
        error,
    };

    if depth > MAX_DEPTH {
        return Err(at(WireError::Depth));
    }
    *items += usize::from(message.item);

    for record in Records::new(bytes) {
        let record = record.map_err(at)?;
        // Unknown fields come from newer versions of OTLP; their framing was checked by `Records`.
        let Some((_, field)) = message.field(record.number) else {
            continue;
        };

        match (field.kind, record.value) {
            (Kind::Nested(inner), Value::Delimited(bytes)) => {
                check(inner, bytes, depth + 1, items)?;
            }
            (_, value) => check_value(field, value).map_err(at)?,
        }
    }

    Ok(())
}

fn check_value(field: &Field, value: Value<'_>) -> Result<(), WireError> {
    match (field.kind, field.kind.wire(), value) {
        (Kind::Text, _, Value::Delimited(bytes)) => std::str::from_utf8(bytes)
            .map(|_| ())
            .map_err(|_| WireError::Utf8),
        // Backends refuse other lengths, and the whole batch with them.
        (Kind::Id(length), _, Value::Delimited(bytes)) => {
            if bytes.is_empty() || bytes.len() == length {
                Ok(())
            } else {
                Err(WireError::IdLength)
            }
        }
        (_, 0, Value::Varint(_))
        | (_, 1, Value::Fixed64(_))
        | (_, 2, Value::Delimited(_))
        | (_, 5, Value::Fixed32(_)) => Ok(()),
        (kind, _, Value::Delimited(packed)) if field.cardinality == Cardinality::Repeated => {
            check_packed(kind, packed)
        }
        _ => Err(WireError::WireType),
    }
}

fn check_packed(kind: Kind, mut packed: &[u8]) -> Result<(), WireError> {
    match kind.wire() {
        0 => {
            while !packed.is_empty() {
                take_varint(&mut packed)?;
            }
            Ok(())
        }
        1 if packed.len().is_multiple_of(8) => Ok(()),
        5 if packed.len().is_multiple_of(4) => Ok(()),
        1 | 5 => Err(WireError::Truncated),
        _ => Err(WireError::WireType),
    }
}

/// Deeper than real telemetry and below the limit of decoders (prost: 100).
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::samples;

    #[test]
    fn counts_spans_data_points_and_log_records() {
        for signal in Signal::ALL {
            let request = samples::request(signal, 3);
            assert_eq!(validate(signal, &request), Ok(3), "{signal:?}");
        }
    }

    #[test]
    fn accepts_an_empty_request() {
        assert_eq!(validate(Signal::Traces, &[]), Ok(0));
    }

    #[test]
    fn rejects_a_string_that_is_not_utf8() {
        // ResourceSpans.schema_url = ff
        let error = validate(Signal::Traces, &[0x0a, 0x03, 0x1a, 0x01, 0xff]);
        assert_eq!(
            error,
            Err(ValidationError {
                message: "ResourceSpans",
                error: WireError::Utf8
            })
        );
    }

    #[test]
    fn rejects_a_trace_id_of_three_bytes() {
        // Span { trace_id: 3 bytes }, wrapped from the inside out in scope, envelope and request.
        let span = [0x0a, 0x03, 1, 2, 3];
        let scope = [&[0x12, 5][..], &span].concat();
        let resource = [&[0x12, 7][..], &scope].concat();
        let request = [&[0x0a, 9][..], &resource].concat();
        let error = validate(Signal::Traces, &request);

        assert_eq!(
            error,
            Err(ValidationError {
                message: "Span",
                error: WireError::IdLength
            })
        );
    }

    #[test]
    fn rejects_deeply_nested_values() {
        let request = samples::nested_value(200);
        let error = validate(Signal::Logs, &request).map_err(|malformed| malformed.error);
        assert_eq!(error, Err(WireError::Depth));
    }

    #[test]
    fn accepts_unknown_fields() {
        // Field 100 of the request, length 1.
        assert_eq!(validate(Signal::Metrics, &[0xa2, 0x06, 0x01, 0xff]), Ok(0));
    }

    #[test]
    fn rejects_a_wrong_wire_type() {
        // resource_spans (field 1) as a varint instead of a message.
        let error = validate(Signal::Traces, &[0x08, 0x01]).map_err(|malformed| malformed.error);
        assert_eq!(error, Err(WireError::WireType));
    }
}
