//! Reports values that are no collection where a format has one.

use diagnostics::source::{Node, NodeValue};
use task_definition::WRONG_TYPE;

use super::Notes;

/// The collections that a field may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inputs) enum Shape {
    List,
    Map,
    Either,
}

/// Reports a scalar where a format has a collection: its value would be lost.
pub(in crate::inputs) fn report_shape(
    what: &str,
    field: &str,
    value: &Node,
    shapes: &[(&str, Shape)],
    notes: &mut Notes<'_>,
) {
    let Some((_, shape)) = shapes.iter().find(|(known, _)| *known == field) else {
        return;
    };
    let (fits, hint) = match (shape, &value.value) {
        (_, NodeValue::Null) => return,
        (Shape::List, value) => (matches!(value, NodeValue::List(_)), "write a list"),
        (Shape::Map, value) => (matches!(value, NodeValue::Map(_)), "write a map"),
        (Shape::Either, value) => (
            matches!(value, NodeValue::List(_) | NodeValue::Map(_)),
            "write a list or a map",
        ),
    };
    if !fits {
        let message = format!("{what} is {}", value.kind());
        notes.error(WRONG_TYPE, value.span, message, hint);
    }
}
