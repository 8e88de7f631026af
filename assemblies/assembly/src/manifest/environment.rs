//! What a manifest says of single environments, laid over the rest of it before anything is read.
//!
//! Maps are laid over each other field by field, lists whose items all have a `name` item by item, everything
//! else as a whole. `null` takes a word away, but stays in `overrides`, `patch` and `stack`, where it takes something
//! away from what is derived.

use std::collections::BTreeSet;

use task_definition::source::{Key, Node, NodeValue};

use crate::values;

/// The manifest with what it says of these environments laid over it; the last one wins.
pub(super) fn overlay(mut node: Node, names: &[String]) -> Node {
    for name in names {
        let over = node.get("environments").and_then(|all| all.get(name));
        let words = over.map(|over| over.entries().to_vec()).unwrap_or_default();
        for (key, over) in words {
            let nulls = match key.name.as_str() {
                "overrides" | "patch" | "stack" => Nulls::Keep,
                _ => Nulls::Remove,
            };
            put(&mut node, &key, &over, nulls);
        }
    }

    node
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Keep,
    Remove,
}

/// Lays a value over the field of that name.
fn put(node: &mut Node, key: &Key, over: &Node, nulls: Nulls) {
    let NodeValue::Map(entries) = &mut node.value else {
        return;
    };
    let known = entries.iter().position(|(one, _)| one.name == key.name);

    match known {
        Some(known) if over.value == NodeValue::Null && nulls == Nulls::Remove => {
            entries.remove(known);
        }
        Some(known) => lay(&mut entries[known].1, over, nulls),
        None if over.value == NodeValue::Null && nulls == Nulls::Remove => {}
        None => entries.push((key.clone(), over.clone())),
    }
}

fn lay(node: &mut Node, over: &Node, nulls: Nulls) {
    match (&mut node.value, &over.value) {
        (NodeValue::Map(_), NodeValue::Map(words)) => {
            for (key, word) in words {
                put(node, key, word, nulls);
            }
        }
        (NodeValue::List(items), NodeValue::List(others))
            if all_have_names(items) && all_have_names(others) =>
        {
            for other in others {
                let name = other.get("name").and_then(Node::text);
                let known = items.iter_mut();
                let mut known = known.filter(|item| item.get("name").and_then(Node::text) == name);
                match known.next() {
                    Some(item) => lay(item, other, nulls),
                    None => items.push(other.clone()),
                }
            }
        }
        _ => *node = over.clone(),
    }
}

fn all_have_names(items: &[Node]) -> bool {
    let is_named = |item: &Node| item.get("name").and_then(Node::text).is_some();
    !items.is_empty() && items.iter().all(is_named)
}

/// The names that stand in a manifest's texts as `${name}`.
pub(super) fn references(node: &Node) -> BTreeSet<String> {
    match &node.value {
        NodeValue::Text(text) => values::references(text),
        NodeValue::List(items) => items.iter().flat_map(references).collect(),
        NodeValue::Map(entries) => entries
            .iter()
            .flat_map(|(_, one)| references(one))
            .collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use task_definition::source::{Source, parse};

    use super::*;

    fn overlay_json(text: &str, names: &[&str]) -> Value {
        let node = parse(&Source::new("m.yaml", text)).expect("YAML");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut value = overlay(node, &names).to_json();
        if let Some(map) = value.as_object_mut() {
            map.remove("environments");
        }
        value
    }

    const TEXT: &str = "
service: { min: 1, max: 2 }
settings: { web: { a: 1, b: 2 } }
overrides: { web: { environment: [{ name: X, value: x }] } }
environments:
  staging: { service: { max: 3 }, settings: { web: { a: null } } }
  production:
    service: { max: 9 }
    overrides: { web: { healthCheck: null, environment: [{ name: X, value: y }, { name: Z, value: z }] } }
";

    #[test]
    fn nothing_is_said_of_an_environment_that_is_not_chosen() {
        let plain = overlay_json(TEXT, &["elsewhere"]);
        assert_eq!(plain["service"], json!({ "min": 1, "max": 2 }));
        assert_eq!(plain["settings"]["web"], json!({ "a": 1, "b": 2 }));
    }

    #[test]
    fn maps_and_named_lists_are_laid_over_and_the_last_environment_wins() {
        let both = overlay_json(TEXT, &["staging", "production"]);
        assert_eq!(both["service"], json!({ "min": 1, "max": 9 }));
        assert_eq!(both["settings"]["web"], json!({ "b": 2 }));
        let variables = json!([{ "name": "X", "value": "y" }, { "name": "Z", "value": "z" }]);
        assert_eq!(both["overrides"]["web"]["environment"], variables);
        assert_eq!(
            both["overrides"]["web"].get("healthCheck"),
            Some(&Value::Null)
        );
    }
}
