//! Turns changes into a new text by replacing byte ranges of the old one.

use serde_json::Value;

use super::{Change, MemberChanges};
use crate::source::{Node, NodeValue};

mod format;

use format::Style;

/// Returns the text after the changes.
pub(super) fn rewrite(text: &str, root: &Node, change: &Change) -> String {
    let mut writer = Writer {
        text,
        // JSON needs quotes; a YAML file in flow style accepts them.
        json: text.trim_start().starts_with(['{', '[']),
        newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        splices: Vec::new(),
    };
    writer.change(root, change);
    writer.finish()
}

/// A byte range and its replacement.
struct Splice {
    start: usize,
    end: usize,
    new: String,
}

struct Writer<'t> {
    text: &'t str,
    json: bool,
    newline: &'static str,
    splices: Vec<Splice>,
}

/// A member of a collection: its byte range, and whether it is removed.
struct Member {
    start: usize,
    end: usize,
    is_removed: bool,
}

impl Writer<'_> {
    fn finish(mut self) -> String {
        // The sort is stable: of two splices at one offset the first pushed comes first, and inner values
        // push before outer ones.
        self.splices.sort_by_key(|splice| splice.start);
        let mut text = String::with_capacity(self.text.len() + 64);
        let mut done = 0;
        for splice in &self.splices {
            text.push_str(self.text.get(done..splice.start).unwrap_or_default());
            text.push_str(&splice.new);
            done = done.max(splice.end);
        }
        text.push_str(self.text.get(done..).unwrap_or_default());
        text
    }

    fn splice(&mut self, start: usize, end: usize, new: impl Into<String>) {
        let new = new.into();
        self.splices.push(Splice { start, end, new });
    }

    fn change(&mut self, node: &Node, change: &Change) {
        match change {
            Change::Keep | Change::Remove => {}
            Change::Replace(value) => self.replace(node, value),
            Change::Members(changes) => self.change_members(node, changes),
        }
    }

    fn change_members(&mut self, node: &Node, changes: &MemberChanges) {
        let mut added: Vec<_> = changes.added.iter().collect();
        let renamed = self.rename(node, changes, &mut added);
        let mut members = self.members(node, changes);
        for position in renamed {
            members[position].is_removed = false;
        }

        // Without a remaining member there is no layout to follow: the whole collection is written anew.
        if members.iter().all(|member| member.is_removed) {
            let whole = match node.value {
                NodeValue::List(_) => added.into_iter().map(|(_, value)| value.clone()).collect(),
                _ => Value::Object(added.into_iter().cloned().collect()),
            };
            return self.replace(node, &whole);
        }

        for (position, child) in children(node).enumerate() {
            if let Some(change) = changes.existing.get(&position) {
                self.change(child, change);
            }
        }

        if self.is_flow(node) {
            self.edit_flow(node, &members, &added);
        } else {
            self.edit_block(node, &members, &added);
        }
    }

    /// Rewrites keys in place: a removed member and an added one with the same value are a rename.
    /// Returns the positions of the renamed members.
    fn rename(
        &mut self,
        node: &Node,
        changes: &MemberChanges,
        added: &mut Vec<&(String, Value)>,
    ) -> Vec<usize> {
        let mut renamed = Vec::new();
        for (position, (key, child)) in node.entries().iter().enumerate() {
            if changes.existing.get(&position) != Some(&Change::Remove) {
                continue;
            }

            let value = child.to_json();
            let Some(at) = added.iter().position(|(_, new)| *new == value) else {
                continue;
            };
            let name = self.format_key(&added.remove(at).0, key.span.start);

            self.splice(key.span.start, key.span.end, name);
            renamed.push(position);
        }

        renamed
    }

    fn members(&self, node: &Node, changes: &MemberChanges) -> Vec<Member> {
        let is_removed = |position: &usize| changes.existing.get(position) == Some(&Change::Remove);
        let entries = node.entries().iter().map(|(key, child)| {
            let start = key.span.start;
            (start, self.end(child).max(key.span.end))
        });
        let items = node.items().iter().map(|child| {
            // In a block list the dash belongs to the item.
            let start = if self.is_flow(node) {
                child.span.start
            } else {
                self.dash(child.span.start)
            };
            (start, self.end(child))
        });

        let each = entries.chain(items).enumerate();
        each.map(|(position, (start, end))| Member {
            start,
            end,
            is_removed: is_removed(&position),
        })
        .collect()
    }

    /// Edits a flow collection: `{ … }` or `[ … ]`.
    fn edit_flow(&mut self, node: &Node, members: &[Member], added: &[&(String, Value)]) {
        let last = members
            .iter()
            .rposition(|member| !member.is_removed)
            .unwrap_or(0);
        for (position, member) in members.iter().enumerate().take(last) {
            // The removal reaches to the next member, so it includes the comma.
            if member.is_removed {
                self.splice(member.start, members[position + 1].start, "");
            }
        }

        let style = self.style(node, &members[last]);
        let mut new = String::new();
        for (key, value) in added {
            let value = self.format_value(value, &style);
            let item = match node.value {
                NodeValue::Map(_) => {
                    format!("{}: {value}", self.format_key(key, members[last].start))
                }
                _ => value,
            };

            let gap = style.indent.as_ref().map_or_else(
                || " ".to_owned(),
                |indent| format!("{}{indent}", self.newline),
            );
            new.extend([",", gap.as_str(), item.as_str()]);
        }

        let end = members.last().map_or(0, |member| member.end);
        self.splice(members[last].end, end, new);
    }

    /// Edits a YAML block collection, which has one member per line.
    fn edit_block(&mut self, node: &Node, members: &[Member], added: &[&(String, Value)]) {
        let last = members
            .iter()
            .rposition(|member| !member.is_removed)
            .unwrap_or(0);
        for (position, member) in members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.is_removed)
        {
            let line = self.line_start(member.start);
            let is_first_on_line = self.text[line..member.start].trim().is_empty();
            match members.get(position + 1) {
                // The first key of a list item follows the dash, and the next key moves there.
                Some(next) if !is_first_on_line => self.splice(member.start, next.start, ""),
                _ => self.splice(line, self.after_line(member.end), ""),
            }
        }

        let start = members[last].start;
        let line = self.line_start(start);
        let indent: String = self.text[line..start]
            .chars()
            .map(|c| if c.is_whitespace() { c } else { ' ' })
            .collect();
        let style = Style::default();
        let end = self.line_end(members[last].end);

        for (key, value) in added {
            let value = self.format_value(value, &style);
            let item = match node.value {
                NodeValue::Map(_) => format!("{}: {value}", self.format_key(key, start)),
                _ => format!("- {value}"),
            };
            self.splice(end, end, format!("{}{indent}{item}", self.newline));
        }
    }

    fn replace(&mut self, node: &Node, value: &Value) {
        let new = self.format_value(value, &Style::default());
        let (mut start, end) = (node.span.start, self.end(node));
        if !self.is_flow(node) && children(node).next().is_some() {
            // The new value is written on the line of the colon or dash.
            start = self.text[..start].trim_end().len();
        }

        if start == node.span.end {
            start = end;
        }
        let needs_space = self.text[..start].ends_with([':', '-']);
        let new = if needs_space { format!(" {new}") } else { new };
        self.splice(start, end, new);
    }

    /// Returns where a value ends, without the trailing space that the parser counts to a block.
    fn end(&self, node: &Node) -> usize {
        // The value of an alias ends at its anchor, not here.
        let last = children(node)
            .last()
            .filter(|last| !self.is_flow(node) && node.span.end >= last.span.end);
        if let Some(last) = last.filter(|last| node.span.start <= last.span.start) {
            return self.end(last);
        }

        let end = node.span.end;
        if node.span.start == end {
            return self.after_colon(end);
        }

        let inner = &self.text[node.span.start..end];
        node.span.start + inner.trim_end().len()
    }

    /// Returns the offset behind the colon: an omitted value has an empty span at its key.
    fn after_colon(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        let blank = rest.len() - rest.trim_start().len();
        let colon = rest[blank..].starts_with(':');
        at + if colon { blank + 1 } else { 0 }
    }

    fn is_flow(&self, node: &Node) -> bool {
        let bracket = match node.value {
            NodeValue::Map(_) => '{',
            NodeValue::List(_) => '[',
            _ => return false,
        };
        self.text[node.span.start..].starts_with(bracket)
    }

    /// Returns the offset of the dash before an item.
    fn dash(&self, start: usize) -> usize {
        let before = self.text[..start].trim_end();
        before.len() - usize::from(before.ends_with('-'))
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        let after = self.after_line(at);
        at + self.text[at..after].trim_end_matches(['\n', '\r']).len()
    }

    fn after_line(&self, at: usize) -> usize {
        let newline = self.text[at..].find('\n');
        newline.map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Returns the layout of the members beside this one.
    fn style(&self, node: &Node, beside: &Member) -> Style {
        let line = self.line_start(beside.start);
        let indent = &self.text[line..beside.start];
        if !indent.trim().is_empty() || node.span.start >= line {
            return Style::default();
        }

        let outer: String = self.text[self.line_start(node.span.start)..]
            .chars()
            .take_while(|c| matches!(c, ' ' | '\t'))
            .collect();
        let unit = indent.strip_prefix(&outer).filter(|unit| !unit.is_empty());
        // New members follow the style of their siblings.
        let is_multiline = children(node).any(|child| {
            let text = &self.text[child.span.start..child.span.end];
            children(child).next().is_some() && text.contains('\n')
        });

        Style {
            indent: Some(indent.to_owned()),
            unit: unit.unwrap_or("  ").to_owned(),
            is_multiline,
        }
    }
}

fn children(node: &Node) -> impl Iterator<Item = &Node> {
    let entries = node.entries().iter().map(|(_, child)| child);
    node.items().iter().chain(entries)
}
