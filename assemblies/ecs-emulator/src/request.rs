//! Bodies of requests: JSON to the type of an operation.

use std::time::SystemTime;

use diagnostics::Finding;
use diagnostics::source::{Node, Source};
use serde::de::DeserializeOwned;
use serde_json::Value;
use task_definition::{HasSchema, WRONG_TYPE, read_record};

use crate::api_error::ApiError;

/// A call of an operation.
#[derive(Debug)]
pub(crate) struct Call {
    body: Value,
    pub(crate) now: SystemTime,
}

impl Call {
    /// Parses a body. An empty one is an empty object.
    pub(crate) fn parse(body: &[u8], now: SystemTime) -> Result<Self, ApiError> {
        // Some clients send no body if an operation has no input.
        if body.is_empty() {
            return Ok(Self {
                body: Value::Object(serde_json::Map::new()),
                now,
            });
        }
        let body = serde_json::from_slice::<Value>(body)
            .ok()
            .filter(Value::is_object);
        let mut body = body.ok_or_else(|| {
            ApiError::new("SerializationException", "the body is not a JSON object")
        })?;

        remove_nulls(&mut body);
        Ok(Self { body, now })
    }

    /// Returns the body without the fields that are null.
    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    /// Reads the body as the input of an operation.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        T::deserialize(&self.body).map_err(|error| {
            let message = error.to_string();
            // AWS answers a value of the wrong type before it looks at the values.
            if message.starts_with("invalid type") {
                ApiError::new("SerializationException", message)
            } else {
                ApiError::invalid_parameter(message)
            }
        })
    }

    /// Reads the body as a record of the API, which `task-definition` has the fields of. All problems are reported
    /// together, each with its JSON pointer.
    pub(crate) fn read_record<T: HasSchema + DeserializeOwned>(
        &self,
        what: &'static str,
    ) -> Result<T, ApiError> {
        let (source, node) = (Source::new(what, ""), Node::from_json(&self.body));
        read_record(&source, &node, what, &[]).map_err(|findings| to_error(&findings))
    }
}

/// Converts findings to one error.
pub(crate) fn to_error(findings: &[Finding]) -> ApiError {
    let lines = findings
        .iter()
        .map(|finding| match finding.pointer.as_deref() {
            Some(pointer) if !pointer.is_empty() => format!("{pointer}: {}", finding.message),
            _ => finding.message.clone(),
        });
    let message = lines.collect::<Vec<_>>().join("; ");
    // One wrong type is enough: the service could not have read the request.
    let is_wrong_type = findings.iter().any(|finding| finding.rule == WRONG_TYPE.id);
    ApiError::new(
        if is_wrong_type {
            "SerializationException"
        } else {
            "ClientException"
        },
        message,
    )
}

/// Removes the fields that are null: the JSON protocol of AWS treats them as absent. Items of lists stay.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Input {
        task: String,
        reason: Option<String>,
    }

    fn read(body: &str) -> Result<Input, &'static str> {
        let call = Call::parse(body.as_bytes(), SystemTime::UNIX_EPOCH);
        call.and_then(|call| call.read())
            .map_err(|error| error.code)
    }

    #[test]
    fn treats_null_as_absent() {
        let expected = Input {
            task: "a".into(),
            reason: None,
        };
        assert_eq!(read(r#"{ "task": "a", "reason": null }"#), Ok(expected));
    }

    #[test]
    fn rejects_bodies_that_are_not_the_operations_input() {
        assert_eq!(read("["), Err("SerializationException"));
        assert_eq!(read("[]"), Err("SerializationException"));
        assert_eq!(read(r#"{ "task": 3 }"#), Err("SerializationException"));
        assert_eq!(read(""), Err("InvalidParameterException"), "no task");
        assert_eq!(
            read(r#"{ "task": "a", "tsak": "b" }"#),
            Err("InvalidParameterException")
        );
    }
}
