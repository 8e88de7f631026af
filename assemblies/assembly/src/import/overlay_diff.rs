//! Computes the overlay that changes a derived value into the expected one.
//!
//! This is the inverse of an overlay: maps are compared field by field, lists of named items by name.

use serde_json::{Map, Value, json};

use crate::plan::merge::ITEM_KEYS;

/// Returns the overlay that changes one value into the other, or `None` if they are equal.
pub(super) fn diff(derived: Option<&Value>, expected: Option<&Value>) -> Option<Value> {
    match (derived, expected) {
        (derived, expected) if derived == expected => None,
        // `null` removes the derived field.
        (_, None) => Some(Value::Null),
        (Some(Value::Object(derived)), Some(Value::Object(expected))) => {
            Some(Value::Object(fields(derived, expected)))
        }
        (Some(Value::Array(derived)), Some(Value::Array(expected))) => {
            let is_key = |key: &&str| has_unique(derived, key) && has_unique(expected, key);
            Some(match ITEM_KEYS.into_iter().find(is_key) {
                Some(key) => Value::Array(items(derived, expected, key)),
                None => Value::Array(expected.clone()),
            })
        }
        (_, Some(expected)) => Some(expected.clone()),
    }
}

fn fields(derived: &Map<String, Value>, expected: &Map<String, Value>) -> Map<String, Value> {
    let removed = derived.keys().filter(|key| !expected.contains_key(*key));
    let keys = expected.keys().chain(removed);
    keys.filter_map(|key| Some((key.clone(), diff(derived.get(key), expected.get(key))?)))
        .collect()
}

fn items(derived: &[Value], expected: &[Value], key: &str) -> Vec<Value> {
    let find_by_key =
        |list: &[Value], other: &Value| list.iter().find(|item| item[key] == other[key]).cloned();
    let mut all = Vec::new();

    for item in expected {
        if let Some(mut changed) = diff(find_by_key(derived, item).as_ref(), Some(item)) {
            if let Value::Object(fields) = &mut changed {
                // The key identifies the item in the overlay, and reads best as the first field.
                fields.shift_insert(0, key.to_owned(), item[key].clone());
            }
            all.push(changed);
        }
    }

    for item in derived
        .iter()
        .filter(|item| find_by_key(expected, item).is_none())
    {
        // An item is removed by an overlay with only its key and `null` for all other fields.
        let mut removed = json!({ key: item[key] });
        for field in item.as_object().into_iter().flatten().map(|(name, _)| name) {
            if field != key {
                removed[field] = Value::Null;
            }
        }
        all.push(removed);
    }

    all
}

/// Returns whether every item of a list has a key, and no key occurs twice.
fn has_unique(list: &[Value], key: &str) -> bool {
    let keys: Vec<&str> = list.iter().filter_map(|item| item[key].as_str()).collect();
    let is_repeated = |at: usize| keys[..at].contains(&keys[at]);
    !list.is_empty() && keys.len() == list.len() && !(0..keys.len()).any(is_repeated)
}

/// Returns whether an overlay merges this list by name: every item has a name, and no name occurs twice.
pub(super) fn have_unique_names(list: &[Value]) -> bool {
    has_unique(list, "name")
}
