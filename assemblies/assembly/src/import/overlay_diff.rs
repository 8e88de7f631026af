//! What must be laid over a derived value so that it becomes the wanted one.
//!
//! The inverse of laying over: maps field by field, lists whose items have names by those names.

use serde_json::{Map, Value, json};

/// The words of an override that lead from one value to the other; nothing when they are equal.
pub(super) fn diff(derived: Option<&Value>, wanted: Option<&Value>) -> Option<Value> {
    match (derived, wanted) {
        (derived, wanted) if derived == wanted => None,
        (_, None) => Some(Value::Null),
        (Some(Value::Object(derived)), Some(Value::Object(wanted))) => {
            Some(Value::Object(fields(derived, wanted)))
        }
        (Some(Value::Array(derived)), Some(Value::Array(wanted)))
            if have_unique_names(derived) && have_unique_names(wanted) =>
        {
            Some(Value::Array(items(derived, wanted)))
        }
        (_, Some(wanted)) => Some(wanted.clone()),
    }
}

fn fields(derived: &Map<String, Value>, wanted: &Map<String, Value>) -> Map<String, Value> {
    let gone = derived.keys().filter(|key| !wanted.contains_key(*key));
    let keys = wanted.keys().chain(gone);
    keys.filter_map(|key| Some((key.clone(), diff(derived.get(key), wanted.get(key))?)))
        .collect()
}

fn items(derived: &[Value], wanted: &[Value]) -> Vec<Value> {
    let same = |list: &[Value], one: &Value| {
        list.iter()
            .find(|item| item["name"] == one["name"])
            .cloned()
    };
    let mut all = Vec::new();

    for item in wanted {
        if let Some(mut changed) = diff(same(derived, item).as_ref(), Some(item)) {
            if let Value::Object(fields) = &mut changed {
                fields.shift_insert(0, "name".to_owned(), item["name"].clone());
            }
            all.push(changed);
        }
    }

    for item in derived.iter().filter(|item| same(wanted, item).is_none()) {
        let mut gone = json!({ "name": item["name"] });
        for key in item.as_object().into_iter().flatten().map(|(key, _)| key) {
            if key != "name" {
                gone[key] = Value::Null;
            }
        }
        all.push(gone);
    }

    all
}

/// Whether such a list is laid over by name, each name once.
pub(super) fn have_unique_names(list: &[Value]) -> bool {
    let names: Vec<&str> = list.iter().filter_map(|one| one["name"].as_str()).collect();
    let twice = |at: usize| names[..at].contains(&names[at]);
    !list.is_empty() && names.len() == list.len() && !(0..names.len()).any(twice)
}
