//! Converts the forms that many fields of Compose and Copilot share: scalars, lists of texts, maps of texts, command lines.

use diagnostics::source::{Key, Node, NodeValue, Span};
use task_definition::WRONG_TYPE;

use crate::inputs::derived::Notes;
use crate::inputs::derived::amounts::{seconds, words};
use crate::inputs::derived::record::{Record, boolean, list, number, some_list, text};

/// Returns a scalar as a text: `user: 1000` is `"1000"`.
pub(in crate::inputs) fn scalar_text(node: &Node, notes: &Notes<'_>) -> Option<Node> {
    Some(text(notes.read_scalar(node)?, node.span))
}

/// Returns a boolean, also one of a variable with a default.
pub(in crate::inputs) fn flag(node: &Node, notes: &Notes<'_>) -> Option<Node> {
    match &node.value {
        NodeValue::Null => None,
        NodeValue::Text(_) => Some(match notes.known_text(node).as_deref() {
            Some("true") => boolean(true, node.span),
            Some("false") => boolean(false, node.span),
            _ => node.clone(),
        }),
        _ => Some(node.clone()),
    }
}

/// Returns a whole number, also one in a text. An unknown one stays as it is written.
pub(in crate::inputs) fn integer(node: &Node, notes: &Notes<'_>) -> Node {
    let whole = notes
        .known_text(node)
        .and_then(|text| text.trim().parse().ok());
    whole.map_or_else(|| node.clone(), |value| number(value, node.span))
}

/// Returns the seconds of a duration.
pub(in crate::inputs) fn duration(node: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    if notes.is_unknown(node) {
        return Some(node.clone());
    }
    let written = notes.known_text(node)?;
    let value = seconds(&written);
    if value.is_none() {
        let message = format!("`{written}` is not a duration");
        notes.error(WRONG_TYPE, node.span, message, "write `30s` or `1m30s`");
    }
    value.map(|value| number(value, node.span))
}

/// Returns the texts of a list, or of a single text.
pub(in crate::inputs) fn text_list(node: &Node, notes: &Notes<'_>) -> Option<Node> {
    match &node.value {
        NodeValue::Null => None,
        NodeValue::List(items) => {
            let items = items.iter().map(|item| {
                let written = scalar_text(item, notes);
                written.unwrap_or_else(|| item.clone())
            });
            some_list(items.collect(), node.span)
        }
        _ => Some(list(vec![scalar_text(node, notes)?], node.span)),
    }
}

/// Returns the words of a command: a list, or a line that is split like in a shell.
pub(in crate::inputs) fn command(node: &Node, notes: &Notes<'_>) -> Option<Node> {
    match &node.value {
        NodeValue::Text(line) => {
            let items = words(line).into_iter().map(|word| text(word, node.span));
            some_list(items.collect(), node.span)
        }
        _ => text_list(node, notes),
    }
}

/// A named value: an item `NAME=VALUE` of a list, or an entry of a map.
pub(in crate::inputs) struct Pair {
    pub(in crate::inputs) name: String,
    pub(in crate::inputs) name_span: Span,
    /// `None` if it has no value: the program that reads the file takes it from its own environment.
    pub(in crate::inputs) value: Option<Node>,
    pub(in crate::inputs) span: Span,
}

/// Returns the pairs of a map, or of a list with `NAME=VALUE` or another separator.
pub(in crate::inputs) fn pairs(node: &Node, separator: char, notes: &Notes<'_>) -> Vec<Pair> {
    let from_entry = |(key, value): &(Key, Node)| Pair {
        name: key.name.clone(),
        name_span: key.span,
        value: match &value.value {
            NodeValue::Null => None,
            _ => Some(scalar_text(value, notes).unwrap_or_else(|| value.clone())),
        },
        span: value.span,
    };
    let from_item = |item: &Node| {
        let written = notes.read_scalar(item)?;
        let (name, value) = match written.split_once(separator) {
            Some((name, value)) => (name, Some(text(value, item.span))),
            None => (written.as_str(), None),
        };
        Some(Pair {
            name: name.to_owned(),
            name_span: item.span,
            value,
            span: item.span,
        })
    };

    let entries = node.entries().iter().map(from_entry);
    entries
        .chain(node.items().iter().filter_map(from_item))
        .collect()
}

/// Returns a list of records with two fields each.
pub(in crate::inputs) fn pair_records(
    node: &Node,
    separator: char,
    (name_field, value_field): (&str, &str),
    notes: &Notes<'_>,
) -> Option<Node> {
    let records = pairs(node, separator, notes).into_iter().map(|pair| {
        Record::new(pair.span)
            .with(name_field, text(pair.name, pair.name_span))
            .with(
                value_field,
                pair.value.unwrap_or_else(|| text("", pair.span)),
            )
            .into_node()
    });
    some_list(records.collect(), node.span)
}

/// Returns a map of texts.
pub(in crate::inputs) fn text_map(node: &Node, notes: &Notes<'_>) -> Option<Node> {
    let mut record = Record::new(node.span);
    for pair in pairs(node, '=', notes) {
        record.add(
            &pair.name,
            pair.value.unwrap_or_else(|| text("", pair.span)),
        );
    }
    record.into_some()
}
