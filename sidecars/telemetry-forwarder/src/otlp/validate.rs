//! Checks that bytes are an OTLP request, without building anything, and counts what is in it.
//!
//! Batches are made by concatenation, so one malformed request would spoil the requests of everyone
//! else in its batch: a backend refuses a request as a whole. Nothing enters the queue unchecked.

use super::Signal;
use super::tables::{Count, Field, Kind, Message};
use super::wire::{Fault, Records, Value, take_varint};

/// Where a request is malformed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (in `{message}`)")]
pub struct Malformed {
    /// The innermost message that is at fault.
    pub message: &'static str,
    /// What is wrong there.
    pub fault: Fault,
}

/// Checks a whole request and counts its items: spans, data points or log records.
pub fn validate(signal: Signal, request: &[u8]) -> Result<usize, Malformed> {
    let mut items = 0;
    check(signal.request(), request, 0, &mut items)?;
    Ok(items)
}

fn check(
    message: &'static Message,
    bytes: &[u8],
    depth: usize,
    items: &mut usize,
) -> Result<(), Malformed> {
    let at = |fault| Malformed {
        message: message.name,
        fault,
    };

    if depth > MAX_DEPTH {
        return Err(at(Fault::Depth));
    }
    *items += usize::from(message.item);

    for record in Records::new(bytes) {
        let record = record.map_err(at)?;
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

fn check_value(field: &Field, value: Value<'_>) -> Result<(), Fault> {
    match (field.kind, field.kind.wire(), value) {
        (Kind::Text, _, Value::Delimited(bytes)) => std::str::from_utf8(bytes)
            .map(|_| ())
            .map_err(|_| Fault::Utf8),
        // Backends refuse other lengths, and with them the whole batch.
        (Kind::Id(length), _, Value::Delimited(bytes)) => {
            if bytes.is_empty() || bytes.len() == length {
                Ok(())
            } else {
                Err(Fault::IdLength)
            }
        }
        (_, 0, Value::Varint(_))
        | (_, 1, Value::Fixed64(_))
        | (_, 2, Value::Delimited(_))
        | (_, 5, Value::Fixed32(_)) => Ok(()),
        (kind, _, Value::Delimited(packed)) if field.count == Count::Many => {
            check_packed(kind, packed)
        }
        _ => Err(Fault::WireType),
    }
}

fn check_packed(kind: Kind, mut packed: &[u8]) -> Result<(), Fault> {
    match kind.wire() {
        0 => {
            while !packed.is_empty() {
                take_varint(&mut packed)?;
            }
            Ok(())
        }
        1 if packed.len().is_multiple_of(8) => Ok(()),
        5 if packed.len().is_multiple_of(4) => Ok(()),
        1 | 5 => Err(Fault::Truncated),
        _ => Err(Fault::WireType),
    }
}

/// Deeper than real telemetry, shallower than what decoders accept (prost: 100).
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::samples;

    #[test]
    fn counts_spans_points_and_records() {
        for signal in Signal::ALL {
            let request = samples::request(signal, 3);
            assert_eq!(validate(signal, &request), Ok(3), "{signal:?}");
        }
    }

    #[test]
    fn an_empty_request_has_no_items() {
        assert_eq!(validate(Signal::Traces, &[]), Ok(0));
    }

    #[test]
    fn refuses_a_string_that_is_not_utf8() {
        // ResourceSpans.schema_url = ff
        let fault = validate(Signal::Traces, &[0x0a, 0x03, 0x1a, 0x01, 0xff]);
        assert_eq!(
            fault,
            Err(Malformed {
                message: "ResourceSpans",
                fault: Fault::Utf8
            })
        );
    }

    #[test]
    fn refuses_a_trace_id_of_three_bytes() {
        let span = [0x0a, 0x03, 1, 2, 3];
        let scope = [&[0x12, 5][..], &span].concat();
        let resource = [&[0x12, 7][..], &scope].concat();
        let request = [&[0x0a, 9][..], &resource].concat();
        let fault = validate(Signal::Traces, &request);

        assert_eq!(
            fault,
            Err(Malformed {
                message: "Span",
                fault: Fault::IdLength
            })
        );
    }

    #[test]
    fn refuses_a_value_nested_without_end() {
        let request = samples::nested_value(200);
        let fault = validate(Signal::Logs, &request).map_err(|malformed| malformed.fault);
        assert_eq!(fault, Err(Fault::Depth));
    }

    #[test]
    fn lets_unknown_fields_pass() {
        // Field 100 of the request, length 1.
        assert_eq!(validate(Signal::Metrics, &[0xa2, 0x06, 0x01, 0xff]), Ok(0));
    }

    #[test]
    fn refuses_a_wrong_wire_type() {
        let fault = validate(Signal::Traces, &[0x08, 0x01]).map_err(|malformed| malformed.fault);
        assert_eq!(fault, Err(Fault::WireType));
    }
}
