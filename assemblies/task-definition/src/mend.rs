//! Mends a text: the edits of fixes, with everything else kept byte for byte.
//!
//! The edits are first gathered into a tree of changes over the parsed text, in which all indices are
//! those of the text as it is. `mend/text.rs` turns the tree into replacements of parts of the text. What
//! comes out is read again and compared with what was meant, so a layout that nobody thought of ends in
//! an error and never in a damaged file.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::finding::{Edit, Finding, Fix};
use crate::source::{Node, NodeValue, Source, parse};

mod text;

/// Why a text was not mended.
#[derive(Debug, Clone, PartialEq)]
pub enum Unmendable {
    /// The text is not YAML or JSON.
    Unread(Vec<Finding>),
    /// There is nothing at that JSON pointer that could be changed.
    Nowhere(String),
    /// Two fixes want different values at that JSON pointer.
    Conflict(String),
    /// The text cannot be changed there alone: the value is shared by an alias, or laid out in a way
    /// that is not understood.
    Entangled,
}

impl fmt::Display for Unmendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread(_) => f.write_str("the text is not YAML or JSON"),
            Self::Nowhere(pointer) => write!(f, "there is nothing to change at `{pointer}`"),
            Self::Conflict(pointer) => write!(f, "two fixes want different values at `{pointer}`"),
            Self::Entangled => f.write_str(
                "the text cannot be changed there alone; an alias or an unusual layout is in the way",
            ),
        }
    }
}

impl std::error::Error for Unmendable {}

/// Applies fixes to the text of a task definition; what they do not change stays as it is written.
///
/// The pointers of the fixes are those of [`crate::read`] and [`crate::check`]: into the definition as it
/// stands in the text, or into the one that an answer of `describe-task-definition` holds. All indices
/// are those of the text before it is mended, so the fixes of one check can be applied together.
///
/// ```
/// use task_definition::{check, mend, read, source::Source};
///
/// let text = r#"{ "family": "web", "networkMode": "bridge", "requiresCompatibilities": ["FARGATE"],
///   "cpu": "256", "memory": "512", "containerDefinitions": [{ "name": "app", "image": "app:1" }] }"#;
/// let source = Source::new("web.json", text);
/// let found = check(&read(&source).expect("well-formed"));
/// let fixes: Vec<_> = found.into_iter().filter_map(|finding| finding.fix).collect();
/// let mended = mend(&source, &fixes).expect("nothing is in the way");
/// assert_eq!(mended, text.replace("bridge", "awsvpc"));
/// ```
pub fn mend(source: &Source, fixes: &[Fix]) -> Result<String, Unmendable> {
    let root = parse(source).map_err(Unmendable::Unread)?;
    let is_answer = root.at("/taskDefinition/family").is_some();
    let prefix = if is_answer { "/taskDefinition" } else { "" };
    let mut change = Change::Keep;

    for edit in fixes.iter().flat_map(|fix| &fix.edits) {
        let (Edit::Set(pointer, _) | Edit::Remove(pointer)) = edit;
        let whole = format!("{prefix}{pointer}");
        let steps: Vec<_> = whole.split('/').skip(1).map(unescape).collect();
        let at = At {
            steps: &steps,
            pointer,
        };

        match edit {
            Edit::Set(_, value) => set(&root, &mut change, at, value)?,
            Edit::Remove(_) => remove(&root, &mut change, at)?,
        }
    }

    let mended = text::rewrite(&source.text, &root, &change);
    let again = parse(&Source::new(source.name.as_str(), mended.as_str()));
    let meant = outcome(&root, &change);
    match again {
        Ok(node) if Some(node.to_json()) == meant => Ok(mended),
        _ => Err(Unmendable::Entangled),
    }
}

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Keep,
    Gone,
    New(Value),
    Inside(Inside),
}

/// What becomes of the members of a map or a list.
#[derive(Debug, Clone, PartialEq, Default)]
struct Inside {
    /// Members that change, by their position.
    members: BTreeMap<usize, Change>,
    /// Members that come, with their keys; those of lists have none.
    added: Vec<(String, Value)>,
}

/// Where an edit is: what is left of the way, and the whole pointer for messages.
#[derive(Clone, Copy)]
struct At<'e> {
    steps: &'e [String],
    pointer: &'e str,
}

impl<'e> At<'e> {
    fn split(self) -> Option<(&'e str, Self)> {
        let (first, steps) = self.steps.split_first()?;
        Some((first, Self { steps, ..self }))
    }

    fn nowhere(self) -> Unmendable {
        Unmendable::Nowhere(self.pointer.to_owned())
    }

    fn conflict(self) -> Unmendable {
        Unmendable::Conflict(self.pointer.to_owned())
    }
}

fn set(node: &Node, change: &mut Change, at: At<'_>, value: &Value) -> Result<(), Unmendable> {
    let Some((step, rest)) = at.split() else {
        return match change {
            // What goes away needs no other value.
            Change::Gone => Ok(()),
            Change::New(other) if other != value => Err(at.conflict()),
            _ => {
                *change = Change::New(value.clone());
                Ok(())
            }
        };
    };

    if let Change::New(new) = change {
        return set_in(new, at, value);
    }
    let Some(inside) = inside(change) else {
        return Ok(());
    };

    if let Some((position, child)) = member(node, step)? {
        let change = inside.members.entry(position).or_insert(Change::Keep);
        return set(child, change, rest, value);
    }

    match &node.value {
        NodeValue::Map(_) => {
            if let Some((_, new)) = inside.added.iter_mut().find(|(key, _)| key == step) {
                return set_in(new, rest, value);
            }

            let wrapped = rest.steps.iter().rev().fold(value.clone(), |inner, step| {
                Value::Object(Map::from_iter([(step.clone(), inner)]))
            });
            inside.added.push((step.to_owned(), wrapped));
            Ok(())
        }
        NodeValue::List(_) if rest.steps.is_empty() && is_index(step) => {
            let new = (String::new(), value.clone());
            // Two findings may ask for the same new item.
            if !inside.added.contains(&new) {
                inside.added.push(new);
            }
            Ok(())
        }
        _ => Err(at.nowhere()),
    }
}

fn remove(node: &Node, change: &mut Change, at: At<'_>) -> Result<(), Unmendable> {
    let Some((step, rest)) = at.split() else {
        *change = Change::Gone;
        return Ok(());
    };

    if let Change::New(_) = change {
        return Err(at.conflict());
    }
    let Some(inside) = inside(change) else {
        return Ok(());
    };

    match member(node, step)? {
        Some((position, child)) => {
            let change = inside.members.entry(position).or_insert(Change::Keep);
            remove(child, change, rest)
        }
        None => Err(at.nowhere()),
    }
}

/// The changes inside of a value, unless it goes away.
fn inside(change: &mut Change) -> Option<&mut Inside> {
    if *change == Change::Keep {
        *change = Change::Inside(Inside::default());
    }
    match change {
        Change::Inside(inside) => Some(inside),
        _ => None,
    }
}

/// A member of a map or list by a step of a pointer.
fn member<'n>(node: &'n Node, step: &str) -> Result<Option<(usize, &'n Node)>, Unmendable> {
    let found = match &node.value {
        NodeValue::Map(entries) => {
            let position = entries.iter().position(|(key, _)| key.name == step);
            position.map(|position| (position, &entries[position].1))
        }
        NodeValue::List(items) => {
            let position = step.parse::<usize>().ok();
            position.and_then(|position| Some((position, items.get(position)?)))
        }
        _ => None,
    };

    // What an alias stands for is written elsewhere, and others may share it.
    let here =
        |child: &Node| node.span.start <= child.span.start && child.span.end <= node.span.end;
    match found {
        Some((_, child)) if !here(child) => Err(Unmendable::Entangled),
        found => Ok(found),
    }
}

/// Sets a part of a value that is itself new.
fn set_in(new: &mut Value, at: At<'_>, value: &Value) -> Result<(), Unmendable> {
    let Some((step, rest)) = at.split() else {
        return if new == value {
            Ok(())
        } else {
            Err(at.conflict())
        };
    };

    match new {
        Value::Object(members) => match members.get_mut(step) {
            Some(inner) => set_in(inner, rest, value),
            None if rest.steps.is_empty() => {
                members.insert(step.to_owned(), value.clone());
                Ok(())
            }
            None => Err(at.nowhere()),
        },
        Value::Array(items) if rest.steps.is_empty() && is_index(step) => {
            if !items.contains(value) {
                items.push(value.clone());
            }
            Ok(())
        }
        _ => Err(at.nowhere()),
    }
}

fn is_index(step: &str) -> bool {
    step == "-" || step.parse::<usize>().is_ok()
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The value after the changes.
fn outcome(node: &Node, change: &Change) -> Option<Value> {
    let inside = match change {
        Change::Keep => return Some(node.to_json()),
        Change::Gone => return None,
        Change::New(value) => return Some(value.clone()),
        Change::Inside(inside) => inside,
    };

    let after = |position: usize, child: &Node| match inside.members.get(&position) {
        Some(change) => outcome(child, change),
        None => Some(child.to_json()),
    };

    if let NodeValue::List(items) = &node.value {
        let each = items.iter().enumerate();
        let kept = each.filter_map(|(position, child)| after(position, child));
        let added = inside.added.iter().map(|(_, value)| value.clone());
        return Some(kept.chain(added).collect());
    }

    let each = node.entries().iter().enumerate();
    let kept = each
        .filter_map(|(position, (key, child))| Some((key.name.clone(), after(position, child)?)));
    Some(Value::Object(
        kept.chain(inside.added.iter().cloned()).collect(),
    ))
}
