//! Computes the overlay that changes a derived value into the expected one.
//!
//! This is the inverse of an overlay: maps are compared field by field, lists of named items by name.

use serde_json::{Map, Value, json};

/// Returns the overlay that changes one value into the other, or `None` if they are equal.
pub(super) fn diff(derived: Option<&Value>, expected: Option<&Value>) -> Option<Value> {
    match (derived, expected) {
        (derived, expected) if derived == expected => None,
        // `null` removes the derived field.
        (_, None) => Some(Value::Null),
        (Some(Value::Object(derived)), Some(Value::Object(expected))) => {
            Some(Value::Object(fields(derived, expected)))
        }
        (Some(Value::Array(derived)), Some(Value::Array(expected)))
            if have_unique_names(derived) && have_unique_names(expected) =>
        {
            Some(Value::Array(items(derived, expected)))
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

fn items(derived: &[Value], expected: &[Value]) -> Vec<Value> {
    let find_by_name = |list: &[Value], named: &Value| {
        list.iter()
            .find(|item| item["name"] == named["name"])
            .cloned()
    };
    let mut all = Vec::new();

    for item in expected {
        if let Some(mut changed) = diff(find_by_name(derived, item).as_ref(), Some(item)) {
            if let Value::Object(fields) = &mut changed {
                // The name identifies the item in the overlay, and reads best as the first field.
                fields.shift_insert(0, "name".to_owned(), item["name"].clone());
            }
            all.push(changed);
        }
    }

    for item in derived
        .iter()
        .filter(|item| find_by_name(expected, item).is_none())
    {
        // An item is removed by an overlay with only its name and `null` for all other fields.
        let mut removed = json!({ "name": item["name"] });
        for key in item.as_object().into_iter().flatten().map(|(key, _)| key) {
            if key != "name" {
                removed[key] = Value::Null;
            }
        }
        all.push(removed);
    }

    all
}

/// Returns whether an overlay merges this list by name: every item has a name, and no name occurs twice.
pub(super) fn have_unique_names(list: &[Value]) -> bool {
    let names: Vec<&str> = list
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    let is_repeated = |at: usize| names[..at].contains(&names[at]);
    !list.is_empty() && names.len() == list.len() && !(0..names.len()).any(is_repeated)
}
