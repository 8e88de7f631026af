//! Builds values that have the span of the user's value.

use diagnostics::source::{Key, Node, NodeValue, Span};

/// A map under construction, in the order of its fields.
pub(in crate::inputs) struct Record {
    entries: Vec<(Key, Node)>,
    span: Span,
}

impl Record {
    /// Creates a record with the span of the value that it is built from.
    pub(in crate::inputs) fn new(span: Span) -> Self {
        Self {
            entries: Vec::new(),
            span,
        }
    }

    /// Adds a field.
    pub(in crate::inputs) fn add(&mut self, name: &str, value: Node) {
        let key = Key {
            name: name.to_owned(),
            span: value.span,
        };
        self.entries.push((key, value));
    }

    /// Adds a field, if there is a value for it.
    pub(in crate::inputs) fn add_some(&mut self, name: &str, value: Option<Node>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Returns the record with a field.
    pub(in crate::inputs) fn with(mut self, name: &str, value: Node) -> Self {
        self.add(name, value);
        self
    }

    /// Returns whether the record has a field.
    pub(in crate::inputs) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key.name == name)
    }

    /// Returns the record as a value.
    pub(in crate::inputs) fn into_node(self) -> Node {
        Node {
            value: NodeValue::Map(self.entries),
            span: self.span,
        }
    }

    /// Returns the record as a value, or `None` if it has no field.
    pub(in crate::inputs) fn into_some(self) -> Option<Node> {
        Some(self)
            .filter(|record| !record.entries.is_empty())
            .map(Self::into_node)
    }
}

/// Returns a text.
pub(in crate::inputs) fn text(value: impl Into<String>, span: Span) -> Node {
    Node {
        value: NodeValue::Text(value.into()),
        span,
    }
}

/// Returns a number.
pub(in crate::inputs) fn number(value: u64, span: Span) -> Node {
    Node {
        value: NodeValue::Number(value.into()),
        span,
    }
}

/// Returns a boolean.
pub(in crate::inputs) fn boolean(value: bool, span: Span) -> Node {
    Node {
        value: NodeValue::Bool(value),
        span,
    }
}

/// Returns a list.
pub(in crate::inputs) fn list(items: Vec<Node>, span: Span) -> Node {
    Node {
        value: NodeValue::List(items),
        span,
    }
}

/// Returns a list of the texts, all with one span.
pub(in crate::inputs) fn texts<'t>(items: impl IntoIterator<Item = &'t str>, span: Span) -> Node {
    list(
        items.into_iter().map(|item| text(item, span)).collect(),
        span,
    )
}

/// Returns a value that is unknown, whatever its type.
pub(in crate::inputs) fn unknown(name: &str, span: Span) -> Node {
    text(format!("${{{name}}}"), span)
}

/// Returns the list with an item, or `None` if there is none.
pub(in crate::inputs) fn some_list(items: Vec<Node>, span: Span) -> Option<Node> {
    (!items.is_empty()).then(|| list(items, span))
}
