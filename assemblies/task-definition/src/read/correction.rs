//! Corrections of values of the wrong type that have one possible meaning.

use diagnostics::source::{Node, NodeValue};
use diagnostics::{Edit, Fix};
use serde_json::{Number, Value, json};

use super::reader::{Reader, kind};
use crate::record::Schema;

impl Reader<'_> {
    /// Returns a hint with the corrected value, if it is certain.
    pub(super) fn correction_hint(&self, node: &Node, schema: Schema) -> String {
        match (schema, &node.value) {
            (_, NodeValue::Null) => "leave the field out; ECS does not accept null".to_owned(),
            (Schema::Text, NodeValue::Number(number)) => {
                format!("write \"{}\", with quotes", self.as_written(node, number))
            }
            (Schema::Text, NodeValue::Bool(value)) => format!("write \"{value}\", with quotes"),
            (Schema::Integer(_), NodeValue::Text(text)) if text.parse::<u32>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (Schema::Bool, NodeValue::Text(text)) if text.parse::<bool>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (Schema::List(Schema::Text), NodeValue::Text(text)) => match split_words(text) {
                Some(words) => format!("write {}", json!(words)),
                None => {
                    "write a list with one item per word, or [\"sh\", \"-c\", \"…\"]".to_owned()
                }
            },
            (Schema::List(_), NodeValue::Map(_)) => "put the map into a list: [{…}]".to_owned(),
            _ => format!("write {}", kind(schema)),
        }
    }

    /// Returns the value that a scalar of another type stands for, if there is only one.
    pub(super) fn certain_value(&self, node: &Node, schema: Schema) -> Option<Value> {
        match (schema, &node.value) {
            (Schema::Text, NodeValue::Number(number)) => Some(json!(self.as_written(node, number))),
            (Schema::Text, NodeValue::Bool(value)) => Some(json!(value.to_string())),
            (Schema::Integer(_) | Schema::Bool, NodeValue::Text(text)) => parse_as(schema, text),
            _ => None,
        }
    }

    /// Returns the correction as edits, if no decision is needed.
    pub(super) fn correction(&self, node: &Node, schema: Schema, pointer: &str) -> Option<Fix> {
        let value: Value = match (schema, &node.value) {
            // An empty text has no field to remove.
            (_, NodeValue::Null) if pointer.is_empty() => return None,
            (_, NodeValue::Null) => {
                return Some(Fix {
                    title: "leave the field out".to_owned(),
                    edits: vec![Edit::Remove(pointer.to_owned())],
                });
            }
            (Schema::Text, NodeValue::Number(number)) => json!(self.as_written(node, number)),
            (Schema::Text, NodeValue::Bool(value)) => json!(value.to_string()),
            (_, NodeValue::Text(text)) => parse_as(schema, text)?,
            (Schema::List(_), NodeValue::Map(entries)) if !entries.is_empty() => {
                json!([node.to_json()])
            }
            _ => return None,
        };

        Some(Fix {
            title: format!("write {value}"),
            edits: vec![Edit::Set(pointer.to_owned(), value)],
        })
    }

    /// Returns a number as it is written, so that the version 1.10 keeps its zero.
    fn as_written(&self, node: &Node, number: &Number) -> String {
        let text = self.source.excerpt(node.span);
        // The span of an alias covers `*name`, not the number.
        let is_alias = text.is_empty() || text.starts_with('*');
        if is_alias {
            number.to_string()
        } else {
            text.to_owned()
        }
    }
}

/// Parses a text as a value of another type, if no decision is needed.
pub(super) fn parse_as(schema: Schema, text: &str) -> Option<Value> {
    match schema {
        Schema::Integer(_) => text.parse::<u32>().ok().map(Value::from),
        Schema::Bool => text.parse::<bool>().ok().map(Value::from),
        Schema::List(Schema::Text) => split_words(text).map(|words| json!(words)),
        _ => None,
    }
}

/// Splits a command line into words, if no shell is needed to do so.
///
/// A line with quotes, variables or operators has no certain list of words: `None`.
fn split_words(text: &str) -> Option<Vec<&str>> {
    // The line of a health check stays one item.
    if let Some((first, line)) = text.split_once(' ')
        && first == "CMD-SHELL"
    {
        return Some(vec![first, line]);
    }
    let needs_shell = |c: char| "|&;<>()$`\\\"'*?#~\n".contains(c);
    let is_line = text.contains(char::is_whitespace);
    if is_line && text.contains(needs_shell) {
        return None;
    }
    Some(text.split_whitespace().collect())
}
