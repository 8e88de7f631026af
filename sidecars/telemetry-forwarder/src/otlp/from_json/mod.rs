//! Converts OTLP/JSON to protobuf as a stream, without building a tree; the tables define the types.
//!
//! Follows the OTLP specification (JSON Protobuf Encoding): ids in hexadecimal, enums as integers,
//! 64-bit integers as string or number, `null` means absent, unknown names are ignored, names in
//! lowerCamelCase.

mod value;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::Signal;
use super::tables::{Field, Message};
use value::{Position, ValueWriter};

/// Converts a JSON request to protobuf; the result must still be validated.
pub fn from_json(signal: Signal, json: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    // Protobuf has no field names, so half of the JSON is a generous estimate.
    let mut out = Vec::with_capacity(json.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    MessageWriter {
        message: signal.request(),
        out: &mut out,
    }
    .deserialize(&mut deserializer)?;
    // Rejects anything after the object.
    deserializer.end()?;
    Ok(out)
}

/// Writes the fields of a message.
struct MessageWriter<'a> {
    message: &'static Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageWriter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageWriter<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object (`{}`)", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldName(self.message))? {
            match field {
                Some(field) => {
                    let position = Position::Field;
                    map.next_value_seed(ValueWriter {
                        field,
                        position,
                        out: self.out,
                    })?;
                }
                None => {
                    // Unknown names must be ignored (OTLP, JSON Protobuf Encoding).
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }

        Ok(())
    }
}

/// Looks up a field by its JSON name without copying the name.
struct FieldName(&'static Message);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Option<&'static Field>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field_by_name(name))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message as _;

    use super::*;

    fn span(json: &str) -> Result<Span, serde_json::Error> {
        let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{json}]}}]}}]}}"#);
        let bytes = from_json(Signal::Traces, json.as_bytes())?;
        let mut request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        Ok(request
            .resource_spans
            .remove(0)
            .scope_spans
            .remove(0)
            .spans
            .remove(0))
    }

    fn body(json: &str) -> Option<Value> {
        let json = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{json}}}]}}]}}]}}"#
        );
        let bytes = from_json(Signal::Logs, json.as_bytes()).unwrap();
        let mut request = ExportLogsServiceRequest::decode(&bytes[..]).unwrap();
        let record = request
            .resource_logs
            .remove(0)
            .scope_logs
            .remove(0)
            .log_records
            .remove(0);

        record.body?.value
    }

    #[test]
    fn parses_hexadecimal_ids_of_either_case() {
        let span =
            span(r#"{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174"}"#);
        let span = span.unwrap();
        assert_eq!(span.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
        assert_eq!(span.span_id, 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes());
    }

    #[test]
    fn parses_64_bit_integers_as_string_and_as_number() {
        let span = span(
            r#"{"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000}"#,
        );
        let span = span.unwrap();
        assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
        assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    }

    #[test]
    fn treats_null_as_absent_and_ignores_unknown_and_snake_case_names() {
        let span =
            span(r#"{"name":null,"attributes":null,"trace_state":"x","new":{"a":[1]},"kind":2}"#);
        assert_eq!(
            span.unwrap(),
            Span {
                kind: 2,
                ..Span::default()
            }
        );
    }

    #[test]
    fn rejects_names_of_enums_and_ids_in_base64() {
        assert!(span(r#"{"kind":"SPAN_KIND_SERVER"}"#).is_err());
        // Base64 is what the plain JSON mapping of protobuf would use for bytes.
        assert!(span(r#"{"spanId":"7uGbfsPBsXQ="}"#).is_err());
        assert!(span(r#"{"traceId":"5b8e"}"#).is_err());
    }

    #[test]
    fn rejects_anything_but_a_single_object() {
        for json in ["", "[]", "3", "{} {}", "{", "\u{feff}{}"] {
            assert!(
                from_json(Signal::Traces, json.as_bytes()).is_err(),
                "{json:?}"
            );
        }
        assert_eq!(from_json(Signal::Traces, b"{}").unwrap(), b"");
    }

    #[test]
    fn parses_values_of_every_kind() {
        assert_eq!(
            body(r#"{"stringValue":""}"#),
            Some(Value::StringValue(String::new()))
        );
        assert_eq!(
            body(r#"{"boolValue":false}"#),
            Some(Value::BoolValue(false))
        );
        assert_eq!(body(r#"{"intValue":"-7"}"#), Some(Value::IntValue(-7)));

        assert_eq!(body(r#"{"intValue":1e3}"#), Some(Value::IntValue(1000)));
        assert_eq!(body(r#"{"doubleValue":2}"#), Some(Value::DoubleValue(2.0)));
        assert_eq!(
            body(r#"{"doubleValue":"-Infinity"}"#),
            Some(Value::DoubleValue(f64::NEG_INFINITY))
        );
        assert_eq!(
            body(r#"{"bytesValue":"_-8"}"#),
            Some(Value::BytesValue(vec![0xff, 0xef]))
        );
        assert_eq!(body("{}"), None);
    }

    #[test]
    fn keeps_the_index_of_a_null_in_a_list_of_values() {
        let Some(Value::ArrayValue(list)) =
            body(r#"{"arrayValue":{"values":[{"intValue":1},null,{"intValue":3}]}}"#)
        else {
            panic!("not a list");
        };
        assert_eq!(list.values.len(), 3);
    }
}
