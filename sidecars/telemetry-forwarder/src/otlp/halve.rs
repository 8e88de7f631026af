//! Cuts a request in two: by envelope, else by scope, else by span, metric or log record.
//!
//! Used twice: to keep a request under the size that a destination takes, and to find the one item
//! a backend refuses without losing the others of its batch.

use super::wire::{Record, Records, Value, WireError, put_delimited};

/// Two requests made of one.
pub type Split = (Vec<u8>, Vec<u8>);

/// Cuts a valid request into two that together hold the same items; `None` when it holds but one
/// part.
pub fn halve(request: &[u8]) -> Result<Option<Split>, WireError> {
    halve_at(request, &LEVELS)
}

/// `levels` are the field numbers of the repeated parts, from the outside in.
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

/// The index that comes nearest to halving the bytes and leaves something on both sides.
fn middle(parts: &[(&[u8], &[u8])]) -> usize {
    let total: usize = parts.iter().map(|(_, raw)| raw.len()).sum();
    let mut seen = 0;
    for (index, (_, raw)) in parts.iter().enumerate() {
        seen += raw.len();
        if seen * 2 >= total {
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
    fn halves_every_signal_down_to_single_items() {
        for signal in Signal::ALL {
            let mut chunks = vec![samples::request(signal, 5)];
            let mut single = 0;
            while let Some(chunk) = chunks.pop() {
                match halve(&chunk).unwrap() {
                    Some((left, right)) => chunks.extend([left, right]),
                    None => single += validate(signal, &chunk).unwrap(),
                }
            }
            assert_eq!(single, 5, "{signal:?}");
        }
    }

    #[test]
    fn halves_a_batch_between_its_envelopes() {
        let one = samples::request(Signal::Traces, 2);
        let batch = [one.clone(), one.clone(), one.clone()].concat();
        let (left, right) = halve(&batch).unwrap().unwrap();
        assert_eq!((left, right), ([one.clone(), one.clone()].concat(), one));
    }
}
