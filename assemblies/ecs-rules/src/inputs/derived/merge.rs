//! Merges maps: YAML's merge keys, and the settings of a Copilot environment over those of the manifest.

use diagnostics::source::{Key, Node, NodeValue};

/// Returns the value with the maps under `<<` merged into the maps around them; own keys win.
///
/// <https://yaml.org/type/merge.html>, which the Compose specification requires.
pub(in crate::inputs) fn expand_merge_keys(node: Node) -> Node {
    let span = node.span;
    let value = match node.value {
        NodeValue::List(items) => {
            NodeValue::List(items.into_iter().map(expand_merge_keys).collect())
        }
        NodeValue::Map(entries) => NodeValue::Map(expand_entries(entries)),
        other => other,
    };
    Node { value, span }
}

fn expand_entries(entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
    let (merged, own): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(key, _)| key.name == "<<");
    let mut result: Vec<(Key, Node)> = own
        .into_iter()
        .map(|(key, value)| (key, expand_merge_keys(value)))
        .collect();

    for (_, value) in merged {
        let maps = match expand_merge_keys(value).value {
            NodeValue::List(items) => items.into_iter().map(|item| item.value).collect(),
            other => vec![other],
        };
        for map in maps {
            let NodeValue::Map(entries) = map else {
                continue;
            };
            let known: std::collections::HashSet<String> =
                result.iter().map(|(key, _)| key.name.clone()).collect();
            result.extend(
                entries
                    .into_iter()
                    .filter(|(key, _)| !known.contains(&key.name)),
            );
        }
    }
    result
}

/// Returns a value with another one over it: maps are merged, all other values are replaced.
///
/// <https://aws.github.io/copilot-cli/docs/manifest/lb-web-service/#environments>
pub(in crate::inputs) fn overlay(base: &Node, over: &Node) -> Node {
    let (NodeValue::Map(below), NodeValue::Map(above)) = (&base.value, &over.value) else {
        return over.clone();
    };

    let mut entries: Vec<(Key, Node)> = Vec::with_capacity(below.len());
    for (key, value) in below {
        let replacement = above.iter().find(|(other, _)| other.name == key.name);
        entries.push(match replacement {
            Some((other, new)) => (other.clone(), overlay(value, new)),
            None => (key.clone(), value.clone()),
        });
    }
    let added = above
        .iter()
        .filter(|(key, _)| base.get(&key.name).is_none());
    entries.extend(added.cloned());
    Node {
        value: NodeValue::Map(entries),
        span: base.span,
    }
}

#[cfg(test)]
mod tests {
    use super::{expand_merge_keys, overlay};
    use diagnostics::source::{Source, parse};
    use serde_json::json;

    fn node(text: &str) -> diagnostics::source::Node {
        parse(&Source::new("a.yaml", text)).expect("well-formed")
    }

    #[test]
    fn own_keys_win_over_merged_ones_and_earlier_maps_over_later_ones() {
        let text = "a: &a { x: 1, y: 1 }\nb: &b { y: 2, z: 2 }\nc: { <<: [*a, *b], x: 3 }\nd: [{ <<: *b }]\n";
        let expanded = expand_merge_keys(node(text)).to_json();
        assert_eq!(expanded["c"], json!({ "x": 3, "y": 1, "z": 2 }));
        assert_eq!(expanded["d"], json!([{ "y": 2, "z": 2 }]));
    }

    #[test]
    fn maps_are_merged_and_lists_replaced() {
        let base = node("{ count: 1, http: { path: a, port: 1 }, list: [1, 2] }");
        let over = node("{ count: { range: 1-2 }, http: { path: b }, list: [3], new: 1 }");
        let expected = json!({
            "count": { "range": "1-2" }, "http": { "path": "b", "port": 1 }, "list": [3], "new": 1
        });
        assert_eq!(overlay(&base, &over).to_json(), expected);
    }
}
