//! Applies the edits of fixes to a text and keeps everything else byte for byte.
//!
//! The edits are first collected into a tree of changes over the parsed text, in which all indices are
//! those of the original text. `fixes/text.rs` turns the tree into replacements of byte ranges. The result is
//! parsed again and compared with the expected value, so an unsupported layout ends in an error and never
//! in a damaged file.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::finding::{Edit, Finding, Fix};
use crate::location::escape;
use crate::source::{Node, NodeValue, Source, parse};

mod text;

/// Why fixes could not be applied to a text.
#[derive(Debug, Clone, PartialEq)]
pub enum FixError {
    /// The text is not YAML or JSON.
    Syntax(Vec<Finding>),
    /// No value exists at that JSON pointer.
    NotFound(String),
    /// Two fixes set different values at that JSON pointer.
    Conflict(String),
    /// The value cannot be edited in isolation: an alias shares it, or the layout is not supported.
    UnsupportedLayout,
}

impl fmt::Display for FixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(_) => f.write_str("the text is not YAML or JSON"),
            Self::NotFound(pointer) => write!(f, "no value exists at `{pointer}`"),
            Self::Conflict(pointer) => write!(f, "two fixes set different values at `{pointer}`"),
            Self::UnsupportedLayout => f.write_str(
                "the value cannot be edited in isolation because of an alias or an unsupported layout; edit it by hand",
            ),
        }
    }
}

impl std::error::Error for FixError {}

/// Applies fixes to a text. Everything else keeps its bytes.
///
/// The pointers of the fixes start at the root of the text. All indices are those of the original text, so the
/// fixes of one check can be applied together.
///
/// ```
/// use diagnostics::{Edit, Fix, apply_fixes, source::Source};
///
/// let source = Source::new("web.yaml", "port: 80 # the default\n");
/// let edits = vec![Edit::Set("/port".to_owned(), 8080.into())];
/// let fix = Fix { title: "write 8080".to_owned(), edits };
/// let fixed = apply_fixes(&source, &[fix]).expect("the fix applies");
/// assert_eq!(fixed, "port: 8080 # the default\n");
/// ```
pub fn apply_fixes(source: &Source, fixes: &[Fix]) -> Result<String, FixError> {
    let root = parse(source).map_err(FixError::Syntax)?;
    apply_fixes_below(source, &root, "", fixes)
}

/// Applies fixes to a parsed text. The pointers of the fixes are relative to the value at `prefix`.
pub fn apply_fixes_below(
    source: &Source,
    root: &Node,
    prefix: &str,
    fixes: &[Fix],
) -> Result<String, FixError> {
    let mut change = Change::Keep;

    for edit in fixes.iter().flat_map(|fix| &fix.edits) {
        let (Edit::Set(pointer, _) | Edit::Remove(pointer)) = edit;
        let full = format!("{prefix}{pointer}");
        let steps: Vec<_> = full.split('/').skip(1).map(unescape).collect();
        let target = Target {
            steps: &steps,
            pointer,
        };

        match edit {
            Edit::Set(_, value) => set(root, &mut change, target, value)?,
            Edit::Remove(_) => remove(root, &mut change, target)?,
        }
    }

    let fixed = text::rewrite(&source.text, root, &change);
    // Reading the result back catches every layout that the rewriter does not handle.
    let reparsed = parse(&Source::new(source.name.as_str(), fixed.as_str()));
    match reparsed {
        Ok(node) if Some(node.to_json()) == expected_value(root, &change) => Ok(fixed),
        _ => Err(FixError::UnsupportedLayout),
    }
}

impl Fix {
    /// Creates a fix that renames a key of the map at `enclosing`.
    pub fn rename(enclosing: &str, key: &str, new_key: &str, value: Value) -> Self {
        Self {
            title: format!("rename it to `{new_key}`"),
            edits: vec![
                Edit::Remove(format!("{enclosing}/{}", escape(key))),
                Edit::Set(format!("{enclosing}/{}", escape(new_key)), value),
            ],
        }
    }
}

/// The change to a value.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Keep,
    Remove,
    Replace(Value),
    Members(MemberChanges),
}

/// The changes to the members of a map or a list.
#[derive(Debug, Clone, PartialEq, Default)]
struct MemberChanges {
    /// Changes to existing members, by position.
    existing: BTreeMap<usize, Change>,
    /// New members with their keys, which are empty in a list.
    added: Vec<(String, Value)>,
}

/// The target of an edit: the remaining steps, and the whole pointer for messages.
#[derive(Clone, Copy)]
struct Target<'e> {
    steps: &'e [String],
    pointer: &'e str,
}

impl<'e> Target<'e> {
    fn split(self) -> Option<(&'e str, Self)> {
        let (first, steps) = self.steps.split_first()?;
        Some((first, Self { steps, ..self }))
    }

    fn not_found(self) -> FixError {
        FixError::NotFound(self.pointer.to_owned())
    }

    fn conflict(self) -> FixError {
        FixError::Conflict(self.pointer.to_owned())
    }
}

fn set(
    node: &Node,
    change: &mut Change,
    target: Target<'_>,
    value: &Value,
) -> Result<(), FixError> {
    let Some((step, rest)) = target.split() else {
        return match change {
            // A removal wins over a new value: one fix drops what another would correct.
            Change::Remove => Ok(()),
            Change::Replace(other) if other != value => Err(target.conflict()),
            _ => {
                *change = Change::Replace(value.clone());
                Ok(())
            }
        };
    };

    // Another fix has replaced this value, so the edit applies to the new one.
    if let Change::Replace(new) = change {
        return set_in(new, target, value);
    }
    let Some(members) = member_changes(change) else {
        return Ok(());
    };

    if let Some((position, child)) = member(node, step)? {
        let change = members.existing.entry(position).or_insert(Change::Keep);
        return set(child, change, rest, value);
    }

    match &node.value {
        NodeValue::Map(_) => {
            if let Some((_, new)) = members.added.iter_mut().find(|(key, _)| key == step) {
                return set_in(new, rest, value);
            }

            // Missing maps on the way are created around the value.
            let wrapped = rest.steps.iter().rev().fold(value.clone(), |inner, step| {
                Value::Object(Map::from_iter([(step.clone(), inner)]))
            });
            members.added.push((step.to_owned(), wrapped));
            Ok(())
        }
        NodeValue::List(_) if rest.steps.is_empty() && is_index(step) => {
            let new = (String::new(), value.clone());
            // Two findings may add the same item.
            if !members.added.contains(&new) {
                members.added.push(new);
            }
            Ok(())
        }
        _ => Err(target.not_found()),
    }
}

fn remove(node: &Node, change: &mut Change, target: Target<'_>) -> Result<(), FixError> {
    let Some((step, rest)) = target.split() else {
        *change = Change::Remove;
        return Ok(());
    };

    if let Change::Replace(_) = change {
        return Err(target.conflict());
    }
    let Some(members) = member_changes(change) else {
        return Ok(());
    };

    match member(node, step)? {
        Some((position, child)) => {
            let change = members.existing.entry(position).or_insert(Change::Keep);
            remove(child, change, rest)
        }
        None => Err(target.not_found()),
    }
}

/// Returns the changes to the members of a value, unless the value is removed or replaced.
fn member_changes(change: &mut Change) -> Option<&mut MemberChanges> {
    if *change == Change::Keep {
        *change = Change::Members(MemberChanges::default());
    }
    match change {
        Change::Members(members) => Some(members),
        _ => None,
    }
}

/// Returns the member of a map or list that a pointer step names.
fn member<'n>(node: &'n Node, step: &str) -> Result<Option<(usize, &'n Node)>, FixError> {
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

    // The value of an alias is written at its anchor, and other aliases may share it.
    let is_inside =
        |child: &Node| node.span.start <= child.span.start && child.span.end <= node.span.end;
    match found {
        Some((_, child)) if !is_inside(child) => Err(FixError::UnsupportedLayout),
        found => Ok(found),
    }
}

/// Sets a part of a value that another fix has added.
fn set_in(new: &mut Value, target: Target<'_>, value: &Value) -> Result<(), FixError> {
    let Some((step, rest)) = target.split() else {
        return if new == value {
            Ok(())
        } else {
            Err(target.conflict())
        };
    };

    match new {
        Value::Object(members) => match members.get_mut(step) {
            Some(inner) => set_in(inner, rest, value),
            None if rest.steps.is_empty() => {
                members.insert(step.to_owned(), value.clone());
                Ok(())
            }
            None => Err(target.not_found()),
        },
        Value::Array(items) if rest.steps.is_empty() && is_index(step) => {
            if !items.contains(value) {
                items.push(value.clone());
            }
            Ok(())
        }
        _ => Err(target.not_found()),
    }
}

fn is_index(step: &str) -> bool {
    step == "-" || step.parse::<usize>().is_ok()
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Returns the value after the changes.
fn expected_value(node: &Node, change: &Change) -> Option<Value> {
    let members = match change {
        Change::Keep => return Some(node.to_json()),
        Change::Remove => return None,
        Change::Replace(value) => return Some(value.clone()),
        Change::Members(members) => members,
    };

    let after = |position: usize, child: &Node| match members.existing.get(&position) {
        Some(change) => expected_value(child, change),
        None => Some(child.to_json()),
    };

    if let NodeValue::List(items) = &node.value {
        let each = items.iter().enumerate();
        let kept = each.filter_map(|(position, child)| after(position, child));
        let added = members.added.iter().map(|(_, value)| value.clone());
        return Some(kept.chain(added).collect());
    }

    let each = node.entries().iter().enumerate();
    let kept = each
        .filter_map(|(position, (key, child))| Some((key.name.clone(), after(position, child)?)));
    Some(Value::Object(
        kept.chain(members.added.iter().cloned()).collect(),
    ))
}
