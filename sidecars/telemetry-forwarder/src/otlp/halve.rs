//! Splits a request in two: between envelopes, else between scopes, else between items.
//!
//! Used to keep requests under the size limit of a destination, and to isolate an item that a
//! backend refuses without losing the rest of its batch.

use super::wire::{Record, Records, Value, WireError, put_delimited};

/// The two halves of a request.
pub type Split = (Vec<u8>, Vec<u8>);

/// Splits a valid request into two that together have the same items; returns `None` if it has only
/// one item.
pub fn halve(request: &[u8]) -> Result<Option<Split>, WireError> {
    halve_at(request, &LEVELS)
}

/// Splits at the outermost level with several parts; `levels` are their field numbers.
fn halve_at(message: &[u8], levels: &[u32]) -> Result<Option<Split>, WireError> {
    let Some((&level, inner)) = levels.split_first() else {
        return Ok(None);
    };
    // The parts are counted first and not collected: a part may be smaller than a reference to it.
    let parts = Parts::count(message, level)?;
    match (parts.count, parts.first) {
        (1, Some(only)) => {
            // One part at this level: split inside it, and repeat the common fields on both sides.
            let Some((left, right)) = halve_at(only, inner)? else {
                return Ok(None);
            };
            let common = common_fields(message, level)?;
            let wrap = |part: &[u8]| {
                let mut out = common.clone();
                put_delimited(&mut out, level, part);
                out
            };
            Ok(Some((wrap(&left), wrap(&right))))
        }
        (0 | 1, _) => Ok(None),
        _ => split_parts(message, level, &parts).map(Some),
    }
}

/// The fields of a message that can be distributed over two.
struct Parts<'a> {
    count: usize,
    bytes: usize,
    first: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn count(message: &'a [u8], level: u32) -> Result<Self, WireError> {
        let mut parts = Self {
            count: 0,
            bytes: 0,
            first: None,
        };
        for record in Records::new(message) {
            let record = record?;
            if let Some(part) = part_of(&record, level) {
                parts.count += 1;
                parts.bytes += record.raw.len();
                parts.first.get_or_insert(part);
            }
        }
        Ok(parts)
    }
}

fn part_of<'a>(record: &Record<'a>, level: u32) -> Option<&'a [u8]> {
    match record.value {
        Value::Delimited(part) if record.number == level => Some(part),
        _ => None,
    }
}

/// Returns the fields that both halves have.
fn common_fields(message: &[u8], level: u32) -> Result<Vec<u8>, WireError> {
    let mut common = Vec::new();
    for record in Records::new(message) {
        let record = record?;
        if part_of(&record, level).is_none() {
            common.extend_from_slice(record.raw);
        }
    }
    Ok(common)
}

/// Splits the bytes most evenly, with parts on both sides.
fn split_parts(message: &[u8], level: u32, parts: &Parts<'_>) -> Result<Split, WireError> {
    let (mut left, mut right) = (common_fields(message, level)?, Vec::new());
    right.clone_from(&left);
    let (mut index, mut left_bytes) = (0, 0);
    for record in Records::new(message) {
        let record = record?;
        if part_of(&record, level).is_none() {
            continue;
        }

        // The part that crosses the middle goes to the left, and the last one to the right.
        let is_left = left_bytes * 2 < parts.bytes && index + 1 < parts.count;
        if is_left {
            left_bytes += record.raw.len();
            left.extend_from_slice(record.raw);
        } else {
            right.extend_from_slice(record.raw);
        }
        index += 1;
    }
    Ok((left, right))
}

/// Request → envelope (1) → scope (2) → span, metric or log record (2): the same in all three
/// signals.
const LEVELS: [u32; 3] = [1, 2, 2];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::{Signal, samples, validate::validate};

    #[test]
    fn splits_every_signal_down_to_single_items() {
        for signal in Signal::ALL {
            let mut requests = vec![samples::request(signal, 5)];
            let mut items = 0;
            while let Some(request) = requests.pop() {
                match halve(&request).unwrap() {
                    Some((left, right)) => requests.extend([left, right]),
                    None => items += validate(signal, &request).unwrap(),
                }
            }
            assert_eq!(items, 5, "{signal:?}");
        }
    }

    #[test]
    fn splits_a_batch_between_its_envelopes() {
        // Three equal envelopes: the split nearest to the middle is 2 + 1.
        let request = samples::request(Signal::Traces, 2);
        let batch = [request.clone(), request.clone(), request.clone()].concat();
        let (left, right) = halve(&batch).unwrap().unwrap();
        assert_eq!(
            (left, right),
            ([request.clone(), request.clone()].concat(), request)
        );
    }
}
