//! Converts protobuf to OTLP/JSON with the tables, for the file sink.
//!
//! Unknown fields are left out; fields that are present with their default value are written.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Signal;
use super::tables::{Cardinality, Field, Kind, Message};
use super::wire::{Records, Value, WireError, take_fixed64, take_varint};

/// Appends a valid request as one line of JSON, without a newline.
pub fn to_json(signal: Signal, request: &[u8], out: &mut String) -> Result<(), WireError> {
    put_message(signal.request(), request, out)
}

fn put_message(message: &'static Message, bytes: &[u8], out: &mut String) -> Result<(), WireError> {
    let found = collect_values(message, bytes)?;
    out.push('{');
    let mut first = true;

    for group in found.chunk_by(|left, right| left.0 == right.0) {
        let field = &message.fields[group[0].0];
        let values: Vec<Value<'_>> = group.iter().map(|(_, value)| *value).collect();
        put_separator(&mut first, out);
        put_text(field.name, out);
        out.push(':');

        match field.cardinality {
            Cardinality::Repeated => put_list(field, &values, out)?,
            Cardinality::Singular | Cardinality::Oneof => put_single(field, &values, out)?,
        }
    }

    out.push('}');
    Ok(())
}

/// Collects the values of known fields with their index: fields in table order, values in wire order.
fn collect_values<'a>(
    message: &'static Message,
    bytes: &'a [u8],
) -> Result<Vec<(usize, Value<'a>)>, WireError> {
    let mut found = Vec::new();
    let mut chosen = None;
    for record in Records::new(bytes) {
        let record = record?;
        let Some((index, field)) = message.field(record.number) else {
            continue;
        };

        if field.cardinality == Cardinality::Oneof {
            chosen = Some(index);
        }
        found.push((index, record.value));
    }

    // The last field of a oneof wins (protobuf encoding, "Last One Wins").
    found.retain(|(index, _)| {
        message.fields[*index].cardinality != Cardinality::Oneof || Some(*index) == chosen
    });
    // A stable sort keeps the elements of a repeated field in wire order.
    found.sort_by_key(|(index, _)| *index);

    Ok(found)
}

fn put_single(field: &Field, values: &[Value<'_>], out: &mut String) -> Result<(), WireError> {
    match (field.kind, values) {
        // Several occurrences of a message field are merged (protobuf encoding).
        (Kind::Nested(inner), [_, _, ..]) => {
            let parts: Vec<&[u8]> = values.iter().filter_map(as_delimited).collect();
            put_message(inner, &parts.concat(), out)
        }
        (_, [.., last]) => put_value(field.kind, *last, out),
        (_, []) => Ok(()),
    }
}

fn put_list(field: &Field, values: &[Value<'_>], out: &mut String) -> Result<(), WireError> {
    out.push('[');
    let mut first = true;
    for value in values {
        // A repeated number is packed or not, at the choice of the encoder.
        if let (0 | 1, Value::Delimited(packed)) = (field.kind.wire(), value) {
            put_packed(field.kind, packed, &mut first, out)?;
        } else {
            put_separator(&mut first, out);
            put_value(field.kind, *value, out)?;
        }
    }

    out.push(']');
    Ok(())
}

fn put_packed(
    kind: Kind,
    mut packed: &[u8],
    first: &mut bool,
    out: &mut String,
) -> Result<(), WireError> {
    while !packed.is_empty() {
        let value = match kind.wire() {
            0 => Value::Varint(take_varint(&mut packed)?),
            // All packed fields of OTLP are varints or 64-bit.
            _ => Value::Fixed64(take_fixed64(&mut packed)?),
        };
        put_separator(first, out);
        put_value(kind, value, out)?;
    }
    Ok(())
}

fn put_value(kind: Kind, value: Value<'_>, out: &mut String) -> Result<(), WireError> {
    match (kind, value) {
        (Kind::Bool, Value::Varint(bits)) => out.push_str(if bits == 0 { "false" } else { "true" }),
        (Kind::Int32, Value::Varint(bits)) => put(out, format_args!("{}", bits as i32)),
        (Kind::Uint32, Value::Varint(bits)) => put(out, format_args!("{}", bits as u32)),
        (Kind::Sint32, Value::Varint(bits)) => {
            put(out, format_args!("{}", unzigzag(bits as u32)));
        }
        (Kind::Fixed32, Value::Fixed32(bits)) => put(out, format_args!("{bits}")),
        // 64-bit integers are strings in JSON, since many readers have only doubles.
        (Kind::Int64, Value::Varint(bits)) | (Kind::Sfixed64, Value::Fixed64(bits)) => {
            put(out, format_args!("\"{}\"", bits as i64));
        }
        (Kind::Uint64, Value::Varint(bits)) | (Kind::Fixed64, Value::Fixed64(bits)) => {
            put(out, format_args!("\"{bits}\""));
        }
        (Kind::Double, Value::Fixed64(bits)) => put_double(f64::from_bits(bits), out),
        (Kind::Text, Value::Delimited(bytes)) => {
            put_text(
                std::str::from_utf8(bytes).map_err(|_| WireError::Utf8)?,
                out,
            );
        }
        (Kind::Binary, Value::Delimited(bytes)) => {
            out.push('"');
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
        (Kind::Id(_), Value::Delimited(bytes)) => {
            out.push('"');
            for byte in bytes {
                put_hex(*byte, out);
            }
            out.push('"');
        }
        (Kind::Nested(inner), Value::Delimited(bytes)) => put_message(inner, bytes, out)?,
        _ => return Err(WireError::WireType),
    }

    Ok(())
}

fn as_delimited<'a>(value: &Value<'a>) -> Option<&'a [u8]> {
    match value {
        Value::Delimited(bytes) => Some(bytes),
        _ => None,
    }
}

fn put_separator(first: &mut bool, out: &mut String) {
    if !*first {
        out.push(',');
    }
    *first = false;
}

fn put(out: &mut String, value: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(value);
}

fn put_double(value: f64, out: &mut String) {
    match value {
        value if value.is_nan() => out.push_str("\"NaN\""),
        f64::INFINITY => out.push_str("\"Infinity\""),
        f64::NEG_INFINITY => out.push_str("\"-Infinity\""),
        // The debug format is the shortest that parses to the same value, and is valid JSON.
        value => put(out, format_args!("{value:?}")),
    }
}

fn put_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                out.push_str("\\u00");
                put_hex(control as u8, out);
            }
            plain => out.push(plain),
        }
    }

    out.push('"');
}

fn put_hex(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn unzigzag(bits: u32) -> i32 {
    (bits >> 1) as i32 ^ -((bits & 1) as i32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::otlp::{from_json::from_json, samples};

    fn json_from(signal: Signal, request: &[u8]) -> serde_json::Value {
        let mut text = String::new();
        to_json(signal, request, &mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn writes_a_span_as_otlp_json() {
        let request = samples::request(Signal::Traces, 1);
        let value = json_from(Signal::Traces, &request);
        let span = &value["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "0102030405060708090a0b0c0d0e0f10");
        assert_eq!(span["startTimeUnixNano"], "1000000000");
        assert_eq!(span["kind"], json!(2));
    }

    #[test]
    fn round_trips_every_signal() {
        for signal in Signal::ALL {
            let request = samples::request(signal, 4);
            let mut text = String::new();
            to_json(signal, &request, &mut text).unwrap();
            assert_eq!(
                from_json(signal, text.as_bytes()).unwrap(),
                request,
                "{signal:?}"
            );
        }
    }

    #[test]
    fn escapes_quotes_and_control_characters() {
        let mut out = String::new();
        put_text("a\"b\\c\u{1}\n\u{1f600}", &mut out);
        assert_eq!(out, "\"a\\\"b\\\\c\\u0001\\n\u{1f600}\"");
    }

    #[test]
    fn writes_only_the_last_field_of_a_oneof() {
        // AnyValue { string_value: "a" } then { int_value: 5 }, inside a log body.
        let value = [0x0a, 1, b'a', 0x18, 5];
        let record = [&[0x2a, 5][..], &value].concat();
        let scope = [&[0x12, 7][..], &record].concat();
        let resource = [&[0x12, 9][..], &scope].concat();
        let request = [&[0x0a, 11][..], &resource].concat();
        let json = json_from(Signal::Logs, &request);
        let body = &json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"];
        assert_eq!(body, &json!({ "intValue": "5" }));
    }
}
