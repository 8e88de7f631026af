//! Expands `Fn::ForEach` among the resources of a template.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html>

use diagnostics::escape;
use diagnostics::source::{Key, Node, NodeValue, Span};

use super::evaluate::{Evaluator, Resolved, function, scalar};

/// A resource of a template after the loops are expanded.
pub(super) struct Resource {
    /// The logical id.
    pub(super) id: String,
    /// The JSON pointer in the text.
    pub(super) pointer: String,
    /// The span of the logical id.
    pub(super) span: Span,
    /// The resource.
    pub(super) node: Node,
}

/// Returns the resources of a map, with one copy per item of a literal collection.
pub(super) fn expand(
    entries: &[(Key, Node)],
    pointer: &str,
    evaluator: &mut Evaluator<'_>,
) -> Vec<Resource> {
    let mut all = Vec::new();
    let map = Map {
        entries,
        written: entries,
        pointer,
        depth: 0,
    };
    expand_into(&map, evaluator, &mut all);
    all
}

/// A map of resources and loops.
struct Map<'a> {
    /// The entries with the identifiers of the loops around them replaced.
    entries: &'a [(Key, Node)],
    /// The same entries as the text has them, for pointers.
    written: &'a [(Key, Node)],
    pointer: &'a str,
    /// The number of loops around it.
    depth: usize,
}

fn expand_into(map: &Map<'_>, evaluator: &mut Evaluator<'_>, all: &mut Vec<Resource>) {
    for ((key, node), (written_key, written)) in map.entries.iter().zip(map.written) {
        let pointer = format!("{}/{}", map.pointer, escape(&written_key.name));
        if key.name == "Fn::Transform" {
            let message = "the resources that `Fn::Transform` adds are not evaluated".to_owned();
            evaluator.not_evaluated.push((key.span, message));
        } else if key.name.starts_with("Fn::ForEach::") {
            let body = Loop {
                key,
                node,
                written,
                pointer: &pointer,
                depth: map.depth,
            };
            expand_loop(&body, evaluator, all);
        } else if all.len() < MAX_RESOURCES {
            all.push(Resource {
                id: key.name.clone(),
                pointer,
                span: key.span,
                node: node.clone(),
            });
        }
    }
}

/// A loop: its identifier, its collection and the resources to repeat.
struct Loop<'a> {
    key: &'a Key,
    node: &'a Node,
    written: &'a Node,
    pointer: &'a str,
    depth: usize,
}

fn expand_loop(body: &Loop<'_>, evaluator: &mut Evaluator<'_>, all: &mut Vec<Resource>) {
    let key = body.key;
    let parts = match (body.node.items(), body.written.items()) {
        ([name, collection, body_node], [.., written]) => name
            .text()
            .zip(items(collection, body.pointer, evaluator))
            .map(|(name, items)| (name, items, body_node, written)),
        _ => None,
    };
    let Some((name, items, node, written)) = parts.filter(|_| body.depth < MAX_DEPTH) else {
        let message = format!(
            "`{}` is not evaluated: its collection is not a list of texts in this file",
            key.name
        );
        evaluator.not_evaluated.push((key.span, message));
        return;
    };

    let pointer = format!("{}/2", body.pointer);
    for item in items {
        if all.len() >= MAX_RESOURCES {
            let message = format!("`{}` has too many items to evaluate all", key.name);
            evaluator.not_evaluated.push((key.span, message));
            return;
        }
        let copy = substitute(node, name, &item);
        let map = Map {
            entries: copy.entries(),
            written: written.entries(),
            pointer: &pointer,
            depth: body.depth + 1,
        };
        expand_into(&map, evaluator, all);
    }
}

/// Returns the items of a collection whose texts are all known.
fn items(node: &Node, pointer: &str, evaluator: &mut Evaluator<'_>) -> Option<Vec<String>> {
    let Resolved::Known { node, .. } = evaluator.resolve(node, pointer) else {
        return None;
    };
    match &node.value {
        NodeValue::List(items) => items
            .iter()
            .map(|item| match function(item) {
                Some(_) => None,
                None => scalar(item),
            })
            .collect(),
        _ => None,
    }
}

/// Replaces an identifier by an item: `${Name}` and `&{Name}` in keys and texts, and `!Ref Name`.
fn substitute(node: &Node, name: &str, item: &str) -> Node {
    let replace = |text: &str| {
        // `&{Name}` leaves out characters that a logical id cannot have.
        let plain: String = item.chars().filter(char::is_ascii_alphanumeric).collect();
        text.replace(&format!("${{{name}}}"), item)
            .replace(&format!("&{{{name}}}"), &plain)
    };

    let value = match &node.value {
        NodeValue::Text(text) => NodeValue::Text(replace(text)),
        NodeValue::List(items) => NodeValue::List(
            items
                .iter()
                .map(|node| substitute(node, name, item))
                .collect(),
        ),
        NodeValue::Map(_) if is_reference(node, name) => NodeValue::Text(item.to_owned()),
        NodeValue::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| {
                let key = Key {
                    name: replace(&key.name),
                    span: key.span,
                };
                (key, substitute(node, name, item))
            });
            NodeValue::Map(entries.collect())
        }
        other => other.clone(),
    };
    Node {
        value,
        span: node.span,
    }
}

fn is_reference(node: &Node, name: &str) -> bool {
    function(node).is_some_and(|(call, to)| call == "Ref" && to.text() == Some(name))
}

/// CloudFormation's limits: 500 resources in a template, and five levels of loops.
const MAX_RESOURCES: usize = 500;
const MAX_DEPTH: usize = 5;
