//! The differences between two task definitions.

use diagnostics::escape;
use serde_json::Value;

use crate::task::TaskDefinition;

/// A value that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The JSON pointer; members of lists with names are identified by name instead of index.
    pub pointer: String,
    /// The value before, if it was present.
    pub before: Option<Value>,
    /// The value after, if it is present.
    pub after: Option<Value>,
}

/// Returns the changes from `before` to `after`, value by value. Pass [`normalise`](crate::normalise)d
/// definitions; otherwise the defaults that ECS fills in appear as changes.
pub fn diff(before: &TaskDefinition, after: &TaskDefinition) -> Vec<Change> {
    let mut changes = Vec::new();
    let (before, after) = (
        serde_json::to_value(before).ok(),
        serde_json::to_value(after).ok(),
    );
    compare(before.as_ref(), after.as_ref(), "", &mut changes);
    changes
}

fn compare(
    before: Option<&Value>,
    after: Option<&Value>,
    pointer: &str,
    changes: &mut Vec<Change>,
) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let added = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(added) {
                compare(
                    a.get(key),
                    b.get(key),
                    &format!("{pointer}/{}", escape(key)),
                    changes,
                );
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => match (names(a), names(b)) {
            (Some(was), Some(is)) => {
                let added = is.iter().filter(|name| !was.contains(name));
                for name in was.iter().chain(added) {
                    let (a, b) = (find(a, &was, name), find(b, &is, name));
                    compare(a, b, &format!("{pointer}/{}", escape(name)), changes);
                }
            }
            _ => changes.push(change(before, after, pointer)),
        },
        _ => changes.push(change(before, after, pointer)),
    }
}

fn change(before: Option<&Value>, after: Option<&Value>, pointer: &str) -> Change {
    Change {
        pointer: pointer.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    }
}

/// Returns the names of a list's members, or `None` unless every member has a unique name.
fn names(list: &[Value]) -> Option<Vec<String>> {
    let mut all = Vec::with_capacity(list.len());
    for member in list {
        // The fields that ECS treats as the key of a list's members.
        let name = ["name", "key", "containerName", "containerPath", "namespace"]
            .iter()
            .find_map(|field| member.get(field)?.as_str())?;
        if all.iter().any(|known| known == name) {
            return None;
        }
        all.push(name.to_owned());
    }

    Some(all)
}

fn find<'v>(list: &'v [Value], names: &[String], name: &str) -> Option<&'v Value> {
    list.get(names.iter().position(|known| known == name)?)
}
