//! Removes envelopes without items, which carry nothing and would get resource attributes all the same.

use std::borrow::Cow;

use super::Signal;
use super::tables::{Kind, Message};
use super::wire::{Record, Records, Value, WireError};

/// Removes the envelopes of a validated request that have no span, data point or log record.
pub fn prune(signal: Signal, request: &[u8]) -> Result<Cow<'_, [u8]>, WireError> {
    let envelope = match signal.request().field(ENVELOPES) {
        Some((_, field)) => field.kind,
        None => return Ok(Cow::Borrowed(request)),
    };
    let Kind::Nested(envelope) = envelope else {
        return Ok(Cow::Borrowed(request));
    };

    // Almost no request has an empty envelope, so it is copied only from the first one on.
    let mut kept: Option<Vec<u8>> = None;
    let mut position = 0;
    for record in Records::new(request) {
        let record = record?;
        let is_empty = matches!(
            record,
            Record { number: ENVELOPES, value: Value::Delimited(bytes), .. }
                if !has_item(envelope, bytes)?
        );
        if is_empty {
            kept.get_or_insert_with(|| request[..position].to_vec());
        } else if let Some(kept) = &mut kept {
            kept.extend_from_slice(record.raw);
        }
        position += record.raw.len();
    }

    Ok(kept.map_or(Cow::Borrowed(request), Cow::Owned))
}

/// Returns whether a message contains an item; looks no further than the first.
fn has_item(message: &'static Message, bytes: &[u8]) -> Result<bool, WireError> {
    if message.item {
        return Ok(true);
    }
    for record in Records::new(bytes) {
        let record = record?;
        let Some((_, field)) = message.field(record.number) else {
            continue;
        };
        if let (Kind::Nested(inner), Value::Delimited(bytes)) = (field.kind, record.value)
            // Attributes can nest in attributes, and there is no item in them.
            && !inner.name.ends_with("Value")
            && has_item(inner, bytes)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The field of the envelopes in a request; the same for all three signals.
const ENVELOPES: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{samples, validate::validate};

    #[test]
    fn removes_envelopes_without_items_and_keeps_all_else() {
        for signal in Signal::ALL {
            let sample = samples::request(signal, 2);
            assert!(matches!(prune(signal, &sample), Ok(Cow::Borrowed(_))));

            // An empty envelope, one with an empty scope, and an unknown field.
            let (empty, scope, unknown) = ([0x0a, 0], [0x0a, 2, 0x12, 0], [0xa2, 6, 1, 0xff]);
            let mixed = [&empty[..], &sample, &scope, &unknown, &sample, &empty].concat();
            let pruned = prune(signal, &mixed).unwrap();
            assert_eq!(pruned, [&sample[..], &unknown, &sample].concat());
            assert_eq!(validate(signal, &pruned), Ok(4));
        }
    }
}
