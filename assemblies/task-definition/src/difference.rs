//! What differs between two task definitions.

use serde_json::Value;

use crate::place::escape;
use crate::task::TaskDefinition;

/// One value that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its JSON pointer; a member of a list with names is called by its name, not by its number.
    pub pointer: String,
    /// What it was, if it was there.
    pub before: Option<Value>,
    /// What it is now, if it is there.
    pub after: Option<Value>,
}

/// What leads from `before` to `after`, value by value. Compare [`normalise`](crate::normalise)d definitions, or
/// the defaults that ECS fills in will show.
pub fn difference(before: &TaskDefinition, after: &TaskDefinition) -> Vec<Change> {
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
                    let (a, b) = (named(a, &was, name), named(b, &is, name));
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

/// The names of a list whose members all have one, each its own.
fn names(list: &[Value]) -> Option<Vec<String>> {
    let mut all = Vec::with_capacity(list.len());
    for member in list {
        let name = ["name", "key", "containerName", "containerPath", "namespace"]
            .iter()
            .find_map(|field| member.get(field)?.as_str())?;
        if all.iter().any(|one| one == name) {
            return None;
        }
        all.push(name.to_owned());
    }

    Some(all)
}

fn named<'v>(list: &'v [Value], names: &[String], name: &str) -> Option<&'v Value> {
    list.get(names.iter().position(|one| one == name)?)
}
