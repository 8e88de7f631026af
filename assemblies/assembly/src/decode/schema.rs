//! Reads the parts of a JSON Schema that decide how a value is validated.

use serde_json::Value;

/// Returns the type of a schema, without `null`.
pub(super) fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        kind => kind.as_str(),
    }
}

pub(super) fn nullable(schema: &Value) -> bool {
    schema
        .get("type")
        .and_then(Value::as_array)
        .is_some_and(|kinds| kinds.iter().any(|k| k == "null"))
}

/// Returns the variants of an enum schema. schemars writes a list, or one `const` each if they have docs.
pub(super) fn variants(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    let choices = schema.get("oneOf")?.as_array()?;
    Some(
        choices
            .iter()
            .filter_map(|choice| choice.get("const")?.as_str())
            .collect(),
    )
}
