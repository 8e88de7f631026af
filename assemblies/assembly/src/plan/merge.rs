//! Lays one JSON value over another: maps field by field, lists whose items have a `name` by that
//! name, everything else as a whole; `null` takes away.

use serde_json::Value;
use task_definition::escape;

/// Lays `over` (found at `from` in the manifest) over `value` (at `at` in the definition), and says of
/// every value that was replaced, and of all inside it, where it is now and where it came from.
pub(crate) fn merge(
    value: &mut Value,
    over: &Value,
    at: &str,
    from: &str,
    placed: &mut impl FnMut(String, &str),
) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (name, over) in over {
                let step = escape(name);
                let (at, from) = (format!("{at}/{step}"), format!("{from}/{step}"));
                if over.is_null() {
                    fields.shift_remove(name);
                    placed(at, &from);
                } else if let Some(field) = fields.get_mut(name) {
                    merge(field, over, &at, &from, placed);
                } else {
                    fields.insert(name.clone(), over.clone());
                    place(over, &at, &from, placed);
                }
            }
        }
        (Value::Array(items), Value::Array(over)) if named(items) && named(over) => {
            for (index, over) in over.iter().enumerate() {
                let from = format!("{from}/{index}");
                let known = items.iter().position(|item| item["name"] == over["name"]);
                if let Some(known) = known {
                    merge(
                        &mut items[known],
                        over,
                        &format!("{at}/{known}"),
                        &from,
                        placed,
                    );
                } else {
                    let Some(over) = said(over) else { continue };
                    place(&over, &format!("{at}/{}", items.len()), &from, placed);
                    items.push(over);
                }
            }
            take_away(items, over, at, from, placed);
        }
        (value, over) => {
            *value = over.clone();
            place(over, at, from, placed);
        }
    }
}

/// An item that is new, without what `null` would take away; nothing when that is all it says.
fn said(item: &Value) -> Option<Value> {
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut() {
        let before = fields.len();
        fields.retain(|_, value| !value.is_null());
        if fields.len() == 1 && before > 1 {
            return None;
        }
    }
    Some(item)
}

/// An item that is left with nothing but its name, because `null` took the rest, goes as a whole.
/// Containers never go: what was said about them would then be said about others.
fn take_away(
    items: &mut Vec<Value>,
    over: &[Value],
    at: &str,
    from: &str,
    placed: &mut impl FnMut(String, &str),
) {
    let empties = |one: &Value| {
        let mut fields = one.as_object().into_iter().flatten();
        fields.any(|(name, value)| name != "name" && value.is_null())
    };
    let before = items.len();

    items.retain(|item| {
        let is_empty = item.as_object().is_some_and(|fields| fields.len() == 1);
        let over = over.iter().find(|over| over["name"] == item["name"]);
        at == CONTAINERS || !is_empty || !over.is_some_and(empties)
    });

    // The ones behind it have moved, so the line that took it away speaks for the list.
    if items.len() < before {
        placed(at.to_owned(), from);
    }
}

const CONTAINERS: &str = "/containerDefinitions";

/// Says of a value and of all inside it where it is and where it came from.
fn place(value: &Value, at: &str, from: &str, placed: &mut impl FnMut(String, &str)) {
    placed(at.to_owned(), from);
    let inside = |step: &str, value: &Value, placed: &mut _| {
        place(
            value,
            &format!("{at}/{step}"),
            &format!("{from}/{step}"),
            placed,
        );
    };

    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                inside(&escape(name), value, placed);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                inside(&index.to_string(), value, placed);
            }
        }
        _ => {}
    }
}

fn named(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| item["name"].is_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_away_an_item_of_which_only_the_name_is_left_but_never_a_container() {
        for (at, left) in [("/list", 1), ("/containerDefinitions", 2)] {
            let mut list = json!([{ "name": "a", "value": "1" }, { "name": "b", "value": "2" }]);
            let over = json!([{ "name": "a", "value": null }]);
            merge(&mut list, &over, at, "/patch", &mut |_, _| {});
            assert_eq!(list.as_array().map(Vec::len), Some(left));
        }
    }

    #[test]
    fn takes_nothing_away_from_what_is_not_there() {
        let mut list = json!([{ "name": "a", "value": "1" }]);
        let over =
            json!([{ "name": "b", "value": null }, { "name": "c", "value": "3", "x": null }]);
        merge(&mut list, &over, "/list", "/patch", &mut |_, _| {});
        let wanted = json!([{ "name": "a", "value": "1" }, { "name": "c", "value": "3" }]);
        assert_eq!(list, wanted);
    }

    #[test]
    fn merges_by_name_and_takes_away_what_is_null() {
        let mut value = json!({ "list": [{ "name": "a", "x": 1 }], "gone": 1, "kept": [1, 2] });
        let over = json!({ "list": [{ "name": "b" }, { "name": "a", "x": 2 }], "gone": null });
        let mut places = Vec::new();
        merge(&mut value, &over, "", "/patch", &mut |at, from| {
            places.push((at, from.to_owned()));
        });
        assert_eq!(
            value,
            json!({ "list": [{ "name": "a", "x": 2 }, { "name": "b" }], "kept": [1, 2] })
        );
        assert!(places.contains(&("/list/0/x".to_owned(), "/patch/list/1/x".to_owned())));
    }
}
