//! A parsed YAML or JSON text in which every value knows its place.
//!
//! JSON is read by the YAML parser: every JSON text is YAML, and one front end means one way to
//! point at a line.

use serde_json::Value;

use crate::finding::Finding;

pub mod limits;
pub(crate) mod lines;
mod parse;
mod scalar;
mod tag;

/// A text and the name under which messages speak of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, as it is to be printed.
    pub name: String,
    /// The text.
    pub text: String,
    /// Where its lines begin, so that a place is found without reading the text again.
    line_starts: Vec<usize>,
}

impl Source {
    /// A text and its name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name: name.into(),
            line_starts: lines::starts(&text),
            text,
        }
    }

    /// The part of the text that a span covers.
    pub fn excerpt(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}

/// A part of a text: byte offsets, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
}

/// A value and its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: NodeValue,
    /// Where it stands.
    pub span: Span,
}

/// What a value is. Numbers keep the way they were written.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeValue {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order in which it was written; no key comes twice.
    Map(Vec<(Key, Node)>),
}

/// The key of a map and its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// Reads a text; what is wrong with its syntax, and keys that come twice, are findings with a place.
pub fn parse(source: &Source) -> Result<Node, Vec<Finding>> {
    parse::parse(source)
}

/// Whether YAML reads these characters without quotes as a text.
pub(crate) fn is_word(text: &str) -> bool {
    matches!(scalar::plain(text), NodeValue::Text(_))
}

impl Node {
    /// The value without places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Bool(value) => Value::Bool(*value),
            NodeValue::Number(value) => Value::Number(value.clone()),
            NodeValue::Text(value) => Value::String(value.clone()),
            NodeValue::List(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.to_json()));
                Value::Object(pairs.collect())
            }
        }
    }

    /// A value that stands in no text.
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

    /// The value that a JSON pointer names: `/containerDefinitions/0/cpu`.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }

        let mut node = self;
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            node = match &node.value {
                NodeValue::List(items) => items.get(step.parse::<usize>().ok()?)?,
                _ => node.get(&step)?,
            };
        }

        Some(node)
    }

    /// The value under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(one, _)| one.name == key)
            .map(|(_, node)| node)
    }

    /// The keys and values, if this is a map.
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items, if this is a list.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            NodeValue::List(items) => items,
            _ => &[],
        }
    }

    /// The string, if this is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(value) => Some(value),
            _ => None,
        }
    }

    /// The kind of value in words, with an article: `a string`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Null => "null",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "a string",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }
}
