//! Parsed YAML or JSON texts in which every value has a span.
//!
//! The YAML parser also reads JSON: YAML 1.2 is a superset of JSON, and one parser gives one way to compute
//! locations.

use serde_json::Value;

use crate::finding::Finding;
use crate::rule_ref::RuleRef;

pub mod limits;
pub(crate) mod lines;
mod parse;
mod scalar;
mod tag;

/// The rule about texts that are not YAML or JSON, or exceed a limit.
pub const SYNTAX: RuleRef = RuleRef {
    id: "Y01",
    source: "YAML 1.2.2; RFC 8259",
};

/// The rule about keys that occur twice in a map.
pub const DUPLICATE_KEY: RuleRef = RuleRef {
    id: "Y02",
    source: "RFC 8259, section 4; YAML 1.2.2, section 3.2.1.3; cfn-lint E3002",
};

/// A text and its name in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file name for messages.
    pub name: String,
    /// The text.
    pub text: String,
    /// The offsets of line starts, so that a location is found without scanning the text.
    line_starts: Vec<usize>,
}

impl Source {
    /// Creates a source.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name: name.into(),
            line_starts: lines::starts(&text),
            text,
        }
    }

    /// Returns the part of the text that a span covers.
    pub fn excerpt(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}

/// A half-open range of byte offsets in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
}

/// A value and its span in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: NodeValue,
    /// The span in the text.
    pub span: Span,
}

/// A YAML or JSON value. The span of a number gives its original notation.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// `null`, `~` or an omitted value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    Text(String),
    /// A string that the caller has put in the place of a `${…}` that was the whole text. It has the type of its
    /// field, which only the field's schema knows.
    Interpolated(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the text, without duplicate keys.
    Map(Vec<(Key, Node)>),
}

/// The key of a map and its span in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// The span in the text.
    pub span: Span,
}

/// Parses a text. Syntax errors, exceeded limits and duplicate keys are returned as findings.
pub fn parse(source: &Source) -> Result<Node, Vec<Finding>> {
    parse::parse(source)
}

/// Returns whether YAML reads these characters without quotes as a string.
pub(crate) fn is_word(text: &str) -> bool {
    matches!(scalar::plain(text), NodeValue::Text(_))
}

impl Node {
    /// Converts the node to a JSON value without spans.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Number(value) => Value::Number(value.clone()),
            NodeValue::Text(value) | NodeValue::Interpolated(value) => Value::String(value.clone()),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.to_json()));
                Value::Object(pairs.collect())
            }
        }
    }

    /// Converts a JSON value to a node without spans.
    pub fn from_json(value: &Value) -> Self {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(value) => NodeValue::Bool(*value),
            Value::Number(value) => NodeValue::Number(value.clone()),
            Value::String(value) => NodeValue::Text(value.clone()),
            Value::Array(items) => NodeValue::List(items.iter().map(Self::from_json).collect()),
            Value::Object(fields) => {
                let entries = fields.iter().map(|(name, value)| {
                    let span = Span::default();
                    let name = name.clone();
                    (Key { name, span }, Self::from_json(value))
                });
                NodeValue::Map(entries.collect())
            }
        };

        let span = Span::default();
        Self { value, span }
    }

    /// Returns the value at a JSON pointer: `/services/0/port`.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }

        let mut node = self;
        for step in pointer.strip_prefix('/')?.split('/') {
            // RFC 6901, section 4: `~1` before `~0`, so that `~01` becomes `~1`.
            let step = step.replace("~1", "/").replace("~0", "~");
            node = match &node.value {
                NodeValue::List(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => node.get(&step)?,
            };
        }

        Some(node)
    }

    /// Returns the value of a key, if this is a map that contains it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(entry, _)| entry.name == key)
            .map(|(_, node)| node)
    }

    /// Returns the keys and values; empty if this is not a map.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items; empty if this is not a list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            NodeValue::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the string, if this is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(value) | NodeValue::Interpolated(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the type of the value with an article, for messages: `a string`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "null",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) | NodeValue::Interpolated(_) => "a string",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }
}
