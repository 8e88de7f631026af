//! Blocks, lines and comments.

use std::fmt::Write as _;

use diagnostics::escape;
use serde_json::{Map, Value};

use super::function::function;
use super::scalar::{Context, write_scalar};
use super::{Style, WIDTH};

/// A document while it is written.
pub(super) struct Writer<'c> {
    text: String,
    style: Style<'c>,
    /// The JSON pointer of the current value.
    at: String,
}

impl<'c> Writer<'c> {
    pub(super) fn new(style: Style<'c>) -> Self {
        Self {
            text: String::new(),
            style,
            at: String::new(),
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Writes a value in block style; its key or dash is already written.
    pub(super) fn block(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(fields) if self.is_map(value) => self.map(fields, indent, Lead::Line),
            Value::Array(items) if !items.is_empty() => self.list(items, indent),
            other => {
                self.flow(other, Context::Block);
                self.text.push('\n');
            }
        }
    }

    /// Writes a key and its value.
    pub(super) fn entry(&mut self, name: &str, value: &Value, indent: usize) {
        self.indent(indent);
        self.key_and_value(name, value, indent);
    }

    fn key_and_value(&mut self, name: &str, value: &Value, indent: usize) {
        write_scalar(&mut self.text, name, self.style, Context::Block);
        self.text.push(':');
        self.after_lead(value, indent + 2);
    }

    fn map(&mut self, fields: &Map<String, Value>, indent: usize, mut lead: Lead) {
        for (name, value) in fields {
            let parent_len = self.enter(&escape(name));
            if lead == Lead::Line {
                self.comment_with_blank_line(indent);
                self.indent(indent);
            }

            // Only the first key shares the line of the dash.
            lead = Lead::Line;
            self.key_and_value(name, value, indent);
            self.at.truncate(parent_len);
        }
    }

    fn list(&mut self, items: &[Value], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            let parent_len = self.enter(&index.to_string());
            self.comment(indent);
            self.indent(indent);
            self.text.push('-');

            if !self.is_map(item) {
                self.after_lead(item, indent + 2);
            } else if let Value::Object(fields) = item
                && !self.same_line(item)
            {
                // A map starts on the line of its dash; everything else is written like a map's value.
                self.text.push(' ');
                self.map(fields, indent + 2, Lead::Dash);
            }

            self.at.truncate(parent_len);
        }
    }

    /// Writes the value after `key:` or `-`.
    fn after_lead(&mut self, value: &Value, indent: usize) {
        if self.same_line(value) {
            return;
        }

        if let Some((tag, argument)) = self.function(value) {
            let _ = writeln!(self.text, " !{tag}");
            self.block(argument, indent);
        } else {
            self.text.push('\n');
            self.block(value, indent);
        }
    }

    /// Writes a value on the current line and returns `true`, or writes nothing if it does not fit.
    fn same_line(&mut self, value: &Value) -> bool {
        // Compose files omit null, as in a list of volume names.
        if matches!((self.style, value), (Style::Compose, Value::Null)) {
            self.text.push('\n');
            return true;
        }

        let before = self.text.len();
        self.text.push(' ');
        if self.flow(value, Context::Block) && self.fits(value, before + 1) {
            self.text.push('\n');
            return true;
        }

        self.text.truncate(before);
        false
    }

    /// Returns whether the line may end with the value that starts at an offset of the text.
    fn fits(&self, value: &Value, start: usize) -> bool {
        let is_short = match self.style {
            Style::Compact => {
                let line = self.text.rfind('\n').map_or(0, |newline| newline + 1);
                self.text[line..].chars().count() < WIDTH
            }
            Style::Compose => true,
            // The value alone, without its key and indentation.
            Style::Template(_) => self.text.len() - start < WIDTH,
        };

        // Scalars and empty collections have no block form.
        let has_block_form = match value {
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => false,
        };
        is_short || !has_block_form
    }

    /// Writes a value in flow style; returns whether the style allows that. If not, the caller truncates the text.
    fn flow(&mut self, value: &Value, context: Context) -> bool {
        if let Some((tag, argument)) = self.function(value) {
            let _ = write!(self.text, "!{tag} ");
            return self.flow(argument, context);
        }

        match value {
            Value::Array(items) => return self.flow_list(items),
            Value::Object(fields) if fields.is_empty() => self.text.push_str("{}"),
            Value::Object(fields) => return self.flow_map(fields),
            Value::String(text) => write_scalar(&mut self.text, text, self.style, context),
            other => {
                let _ = write!(self.text, "{other}");
            }
        }

        true
    }

    fn flow_list(&mut self, items: &[Value]) -> bool {
        // Nested lists and maps are easier to read in block style, except in short texts.
        let is_flat =
            |item: &Value| !item.is_array() && (!item.is_object() || self.function(item).is_some());
        if !matches!(self.style, Style::Compact) && !items.iter().all(is_flat) {
            return false;
        }

        self.text.push('[');
        for (index, item) in items.iter().enumerate() {
            self.text.push_str(if index == 0 { "" } else { ", " });
            if !self.flow(item, Context::Flow) {
                return false;
            }
        }
        self.text.push(']');

        true
    }

    fn flow_map(&mut self, fields: &Map<String, Value>) -> bool {
        if !matches!(self.style, Style::Compact) {
            return false;
        }

        for (index, (name, value)) in fields.iter().enumerate() {
            self.text.push_str(if index == 0 { "{ " } else { ", " });
            write_scalar(&mut self.text, name, self.style, Context::Flow);
            self.text.push_str(": ");
            self.flow(value, Context::Flow);
        }
        self.text.push_str(" }");

        true
    }

    /// Returns tag and argument of a function, in a style that has them.
    fn function<'v>(&self, value: &'v Value) -> Option<(&'v str, &'v Value)> {
        match self.style {
            Style::Template(_) => function(value),
            Style::Compact | Style::Compose => None,
        }
    }

    /// Returns whether a value is a map with entries, and not a function.
    fn is_map(&self, value: &Value) -> bool {
        let has_entries = value.as_object().is_some_and(|fields| !fields.is_empty());
        has_entries && self.function(value).is_none()
    }

    /// Appends a step to the pointer; returns the pointer's previous length.
    fn enter(&mut self, name: &str) -> usize {
        let parent_len = self.at.len();
        self.at.push('/');
        self.at.push_str(name);
        parent_len
    }

    fn comment_with_blank_line(&mut self, indent: usize) {
        let Style::Template(comments) = self.style else {
            return;
        };
        // A blank line precedes each section of the template, and each entry with a comment.
        let is_section = indent == 0 || (indent == 2 && comments.contains_key(&self.at));
        if is_section && !self.text.is_empty() && !self.text.ends_with(":\n") {
            self.text.push('\n');
        }
        self.comment(indent);
    }

    fn comment(&mut self, indent: usize) {
        let Style::Template(comments) = self.style else {
            return;
        };
        let Some(comment) = comments.get(&self.at) else {
            return;
        };

        let mut line = String::new();
        let mut lines = Vec::new();

        // Greedy wrapping; 3 is the length of `# ` and the space before the word.
        for word in comment.split_whitespace() {
            if !line.is_empty() && indent + line.len() + word.len() + 3 > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }

        lines.push(line);
        for line in lines {
            self.indent(indent);
            let _ = writeln!(self.text, "# {line}");
        }
    }

    fn indent(&mut self, indent: usize) {
        let _ = write!(self.text, "{:indent$}", "");
    }
}

/// What precedes the first key of a map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The start of a line.
    Line,
    /// The dash of a list item.
    Dash,
}
