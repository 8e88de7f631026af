//! Overlays the `environments` of a manifest on the rest of it, before the manifest is decoded.
//!
//! Maps are overlaid field by field, lists of named items item by item, and everything else as a
//! whole. `null` removes a field. In `overrides`, `patch` and `stack` the `null` is kept, since there it removes a
//! derived field later.

use std::collections::BTreeSet;

use diagnostics::source::{Key, Node, NodeValue};

use crate::values;

/// Overlays the entries for these environments on the manifest; the last one takes precedence.
pub(super) fn overlay(mut node: Node, names: &[String]) -> Node {
    for name in names {
        let over = node.get("environments").and_then(|all| all.get(name));
        let entries = over.map(|over| over.entries().to_vec()).unwrap_or_default();
        for (key, over) in entries {
            let nulls = match key.name.as_str() {
                "overrides" | "patch" | "stack" => Nulls::Keep,
                _ => Nulls::Remove,
            };
            overlay_field(&mut node, &key, &over, nulls);
        }
    }

    node
}

/// What a `null` in the overlay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Keep,
    Remove,
}

/// Overlays a value on the field of this name.
fn overlay_field(node: &mut Node, key: &Key, over: &Node, nulls: Nulls) {
    let NodeValue::Map(entries) = &mut node.value else {
        return;
    };
    let known = entries.iter().position(|(other, _)| other.name == key.name);

    match known {
        Some(known) if over.value == NodeValue::Null && nulls == Nulls::Remove => {
            entries.remove(known);
        }
        Some(known) => overlay_value(&mut entries[known].1, over, nulls),
        None if over.value == NodeValue::Null && nulls == Nulls::Remove => {}
        None => entries.push((key.clone(), over.clone())),
    }
}

fn overlay_value(node: &mut Node, over: &Node, nulls: Nulls) {
    match (&mut node.value, &over.value) {
        (NodeValue::Map(_), NodeValue::Map(fields)) => {
            for (key, field) in fields {
                overlay_field(node, key, field, nulls);
            }
        }
        // Lists such as `environment` have one item per name, so an overlay can change a single item.
        (NodeValue::List(items), NodeValue::List(others))
            if all_have_names(items) && all_have_names(others) =>
        {
            for other in others {
                let name = other.get("name").and_then(Node::text);
                let known = items.iter_mut();
                let mut known = known.filter(|item| item.get("name").and_then(Node::text) == name);
                match known.next() {
                    Some(item) => overlay_value(item, other, nulls),
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

/// Returns the names that a manifest's texts refer to as `${name}`.
pub(super) fn references(node: &Node) -> BTreeSet<String> {
    match &node.value {
        NodeValue::Text(text) => values::references(text),
        NodeValue::List(items) => items.iter().flat_map(references).collect(),
        NodeValue::Map(entries) => entries
            .iter()
            .flat_map(|(_, value)| references(value))
            .collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use diagnostics::source::{Source, parse};
    use serde_json::{Value, json};

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
    fn ignores_environments_that_are_not_selected() {
        let plain = overlay_json(TEXT, &["elsewhere"]);
        assert_eq!(plain["service"], json!({ "min": 1, "max": 2 }));
        assert_eq!(plain["settings"]["web"], json!({ "a": 1, "b": 2 }));
    }

    #[test]
    fn overlays_maps_and_named_lists_and_the_last_environment_wins() {
        let both = overlay_json(TEXT, &["staging", "production"]);
        assert_eq!(both["service"], json!({ "min": 1, "max": 9 }));
        // `null` has removed the setting `a`.
        assert_eq!(both["settings"]["web"], json!({ "b": 2 }));
        let variables = json!([{ "name": "X", "value": "y" }, { "name": "Z", "value": "z" }]);
        assert_eq!(both["overrides"]["web"]["environment"], variables);
        // In `overrides` the `null` itself is kept: it removes a derived field later.
        assert_eq!(
            both["overrides"]["web"].get("healthCheck"),
            Some(&Value::Null)
        );
    }
}
