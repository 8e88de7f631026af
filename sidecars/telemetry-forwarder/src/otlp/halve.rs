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
    let mut parts = Vec::new();
    let mut common: Vec<&[u8]> = Vec::new();

    for record in Records::new(message) {
        match record? {
            Record {
                number,
                value: Value::Delimited(part),
                raw,
            } if number == level => {
                parts.push((part, raw));
            }
            other => common.push(other.raw),
        }
    }

    match parts[..] {
        [] => Ok(None),
        // One part at this level: split inside it, and repeat the common fields on both sides.
        [(only, _)] => {
            let Some((left, right)) = halve_at(only, inner)? else {
                return Ok(None);
            };
            let wrap = |part: &[u8]| {
                let mut out = common.concat();
                put_delimited(&mut out, level, part);
                out
            };
            Ok(Some((wrap(&left), wrap(&right))))
        }
        _ => {
            let middle = middle(&parts);
            let gather = |parts: &[(&[u8], &[u8])]| {
                let mut out = common.concat();
                for (_, raw) in parts {
                    out.extend_from_slice(raw);
                }
                out
            };
            Ok(Some((gather(&parts[..middle]), gather(&parts[middle..]))))
        }
    }
}

/// Returns the index that splits the bytes most evenly and leaves parts on both sides.
fn middle(parts: &[(&[u8], &[u8])]) -> usize {
    let total: usize = parts.iter().map(|(_, raw)| raw.len()).sum();
    let mut left = 0;
    for (index, (_, raw)) in parts.iter().enumerate() {
        left += raw.len();
        if left * 2 >= total {
            return (index + 1).min(parts.len() - 1);
        }
    }
    parts.len() / 2
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
