//! Reads the valid part of a record, so that rules can check it despite values of the wrong type.

use diagnostics::Finding;
use diagnostics::source::{Node, NodeValue, Source};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::read::{RecordReading, deserialize};
use crate::record::{HasSchema, Schema};

/// The valid part of a record, and the findings about the rest.
#[derive(Debug, Clone)]
pub struct PartialRecord<T> {
    /// The record, with minimal values in place of those that could not be read.
    pub record: T,
    /// The same as JSON, with the fields that are not part of the record.
    pub json: Value,
    /// The values that could not be read.
    pub unread: Vec<UnreadValue>,
    /// The findings about them, and about unknown fields.
    pub findings: Vec<Finding>,
}

/// A value that is missing or has the wrong type, without one certain meaning.
#[derive(Debug, Clone)]
pub struct UnreadValue {
    /// The JSON pointer in the record.
    pub pointer: String,
    /// The schema that the value does not match.
    pub schema: Schema,
    /// Whether the user chose the key, as in log options.
    pub own_key: bool,
}

/// Reads a record of the API, called `what` in messages, as far as it is valid. Fails if it is not a map.
///
/// A value with one possible meaning, such as the number 256 where the API expects the string, is read as that value.
pub fn read_partial_record<T: HasSchema + DeserializeOwned>(
    source: &Source,
    node: &Node,
    what: &'static str,
    response_only: &'static [&'static str],
) -> Result<PartialRecord<T>, Vec<Finding>> {
    let reading = RecordReading::new(source, node, T::SCHEMA, what, response_only);
    if !matches!(node.value, NodeValue::Map(_)) {
        return Err(reading.findings);
    }

    let mut json = node.to_json();
    for (pointer, value) in &reading.corrections {
        set(&mut json, pointer, value.clone());
    }
    for unread in &reading.unread {
        set(&mut json, &unread.pointer, unread.schema.minimal_value());
    }

    let record = deserialize(source, node, &json).map_err(|more| {
        let findings = reading.findings.iter().cloned();
        findings.chain(more).collect::<Vec<_>>()
    })?;
    Ok(PartialRecord {
        record,
        json,
        unread: reading.unread,
        findings: reading.findings,
    })
}

/// Sets a value at a JSON pointer whose enclosing value exists.
fn set(json: &mut Value, pointer: &str, value: Value) {
    if let Some(existing) = json.pointer_mut(pointer) {
        *existing = value;
        return;
    }
    // Only fields of records can be missing, and their names need no escapes.
    let (enclosing, name) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(Value::Object(fields)) = json.pointer_mut(enclosing) {
        fields.insert(name.to_owned(), value);
    }
}
