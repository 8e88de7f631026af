//! Merges one JSON value into another: maps by field, lists of items with a `name` by that name, mount points by
//! their `containerPath`, everything else is replaced; `null` removes.

use diagnostics::escape;
use serde_json::Value;

/// Merges `overlay` (at `from` in the manifest) into `value` (at `at` in the definition).
///
/// Calls `on_change` for each replaced value and all values inside it, with its new pointer and the
/// pointer it came from.
pub(crate) fn merge(
    value: &mut Value,
    overlay: &Value,
    at: &str,
    from: &str,
    on_change: &mut impl FnMut(String, &str),
) {
    match (value, overlay) {
        (Value::Object(fields), Value::Object(overlay)) => {
            for (name, overlay) in overlay {
                let step = escape(name);
                let (at, from) = (format!("{at}/{step}"), format!("{from}/{step}"));
                // `shift_remove` keeps the order of the other fields, and so of the rendered document.
                if overlay.is_null() {
                    fields.shift_remove(name);
                    on_change(at, &from);
                } else if let Some(field) = fields.get_mut(name) {
                    merge(field, overlay, &at, &from, on_change);
                } else {
                    fields.insert(name.clone(), overlay.clone());
                    report_changes(overlay, &at, &from, on_change);
                }
            }
        }
        (Value::Array(items), Value::Array(overlay)) if list_key(items, overlay).is_some() => {
            let key = list_key(items, overlay).unwrap_or_default();
            for (index, overlay) in overlay.iter().enumerate() {
                let from = format!("{from}/{index}");
                let known = items.iter().position(|item| item[key] == overlay[key]);
                if let Some(known) = known {
                    merge(
                        &mut items[known],
                        overlay,
                        &format!("{at}/{known}"),
                        &from,
                        on_change,
                    );
                } else {
                    let Some(item) = without_nulls(overlay) else {
                        continue;
                    };
                    report_changes(&item, &format!("{at}/{}", items.len()), &from, on_change);
                    items.push(item);
                }
            }
            remove_emptied(items, (overlay, key), at, from, on_change);
        }
        (value, overlay) => {
            *value = overlay.clone();
            report_changes(overlay, at, from, on_change);
        }
    }
}

/// Returns a new item without its `null` fields, or `None` if only its name remains.
fn without_nulls(item: &Value) -> Option<Value> {
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

/// Removes items of which only the name is left because `null` removed the rest.
///
/// Containers are never removed: pointers into the list (`/containerDefinitions/1/…`) would then refer to
/// other containers.
fn remove_emptied(
    items: &mut Vec<Value>,
    (overlay, key): (&[Value], &str),
    at: &str,
    from: &str,
    on_change: &mut impl FnMut(String, &str),
) {
    let removes_fields = |item: &Value| {
        let mut fields = item.as_object().into_iter().flatten();
        fields.any(|(name, value)| name != key && value.is_null())
    };
    let before = items.len();

    items.retain(|item| {
        let is_empty = item.as_object().is_some_and(|fields| fields.len() == 1);
        let overlay = overlay.iter().find(|overlay| overlay[key] == item[key]);
        // Without its volume, a mount point is nothing, whatever other fields it has.
        let is_unmounted =
            overlay.is_some_and(|overlay| overlay.get("sourceVolume") == Some(&Value::Null));
        at == CONTAINERS || !(is_unmounted || is_empty && overlay.is_some_and(removes_fields))
    });

    // The indexes of later items have changed, so the whole list gets the location of the overlay.
    if items.len() < before {
        on_change(at.to_owned(), from);
    }
}

const CONTAINERS: &str = "/containerDefinitions";

/// Calls `on_change` for a value and all values inside it.
fn report_changes(value: &Value, at: &str, from: &str, on_change: &mut impl FnMut(String, &str)) {
    on_change(at.to_owned(), from);
    // The structure is the same on both sides, so one step extends both pointers.
    let descend = |step: &str, value: &Value, on_change: &mut _| {
        report_changes(
            value,
            &format!("{at}/{step}"),
            &format!("{from}/{step}"),
            on_change,
        );
    };

    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                descend(&escape(name), value, on_change);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                descend(&index.to_string(), value, on_change);
            }
        }
        _ => {}
    }
}

/// Returns the field that identifies the items of two lists, if all items of both have it.
fn list_key(items: &[Value], overlay: &[Value]) -> Option<&'static str> {
    let identifies = |key: &&str| {
        let have_key =
            |items: &[Value]| !items.is_empty() && items.iter().all(|item| item[*key].is_string());
        have_key(items) && have_key(overlay)
    };
    ITEM_KEYS.into_iter().find(identifies)
}

/// The fields that identify an item: its name, or the path of a mount point.
pub(crate) const ITEM_KEYS: [&str; 2] = ["name", "containerPath"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn removes_an_item_with_only_a_name_left_except_a_container() {
        // (where the list is, how many of its two items remain)
        for (at, remaining) in [("/list", 1), ("/containerDefinitions", 2)] {
            let mut list = json!([{ "name": "a", "value": "1" }, { "name": "b", "value": "2" }]);
            let overlay = json!([{ "name": "a", "value": null }]);
            merge(&mut list, &overlay, at, "/patch", &mut |_, _| {});
            assert_eq!(list.as_array().map(Vec::len), Some(remaining));
        }
    }

    #[test]
    fn keeps_mount_points_at_other_paths() {
        let mut list =
            json!([{ "sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": false }]);
        let added = json!([{ "sourceVolume": "pages", "containerPath": "/pages" }]);
        merge(&mut list, &added, "/list", "/patch", &mut |_, _| {});
        assert_eq!(list.as_array().map(Vec::len), Some(2));

        let removed = json!([{ "containerPath": "/tmp", "sourceVolume": null }]);
        merge(&mut list, &removed, "/list", "/patch", &mut |_, _| {});
        assert_eq!(list, added);
    }

    #[test]
    fn ignores_null_for_missing_items_and_fields() {
        let mut list = json!([{ "name": "a", "value": "1" }]);
        let overlay =
            json!([{ "name": "b", "value": null }, { "name": "c", "value": "3", "x": null }]);
        merge(&mut list, &overlay, "/list", "/patch", &mut |_, _| {});
        // `b` has nothing but its name left, so it is not added.
        let expected = json!([{ "name": "a", "value": "1" }, { "name": "c", "value": "3" }]);
        assert_eq!(list, expected);
    }

    #[test]
    fn merges_lists_by_name_and_removes_null_fields() {
        let mut value = json!({ "list": [{ "name": "a", "x": 1 }], "gone": 1, "kept": [1, 2] });
        let overlay = json!({ "list": [{ "name": "b" }, { "name": "a", "x": 2 }], "gone": null });
        let mut locations = Vec::new();
        merge(&mut value, &overlay, "", "/patch", &mut |at, from| {
            locations.push((at, from.to_owned()));
        });
        assert_eq!(
            value,
            json!({ "list": [{ "name": "a", "x": 2 }, { "name": "b" }], "kept": [1, 2] })
        );
        assert!(locations.contains(&("/list/0/x".to_owned(), "/patch/list/1/x".to_owned())));
    }
}
