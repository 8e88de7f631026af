//! Formats new keys and values in the style of the text around them.

use serde_json::Value;

use super::Writer;
use crate::source::is_word;

/// The layout of the members of a collection.
#[derive(Default)]
pub(super) struct Style {
    /// The indentation of each member, if each has its own line.
    pub(super) indent: Option<String>,
    /// The additional indentation of a nested line.
    pub(super) unit: String,
    /// Whether the values beside it span several lines.
    pub(super) is_multiline: bool,
}

impl Writer<'_> {
    /// Formats the name of a member like the one at `beside`.
    pub(super) fn format_key(&self, name: &str, beside: usize) -> String {
        let quoted = self.json || self.text[beside..].starts_with('"');
        if !quoted && is_plain(name) {
            name.to_owned()
        } else {
            Value::from(name).to_string()
        }
    }

    /// Formats a value, over several lines if the style or its length needs them.
    pub(super) fn format_value(&self, value: &Value, style: &Style) -> String {
        let compact = self.format_compact(value);
        match &style.indent {
            Some(indent) if style.is_multiline || compact.len() > 60 => {
                self.format_lines(value, indent, &style.unit)
            }
            _ => compact,
        }
    }

    fn format_compact(&self, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.format_compact(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(members) if members.is_empty() => "{}".to_owned(),
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|(key, member)| {
                        format!(
                            "{}: {}",
                            self.format_key(key, 0),
                            self.format_compact(member)
                        )
                    })
                    .collect();
                format!("{{ {} }}", members.join(", "))
            }
            Value::String(word) if !self.json && is_plain(word) => word.clone(),
            _ => value.to_string(),
        }
    }

    /// Formats a collection in brackets with one member per line.
    fn format_lines(&self, value: &Value, indent: &str, unit: &str) -> String {
        let inner = format!("{indent}{unit}");
        let (open, lines, close): (_, Vec<_>, _) = match value {
            Value::Array(items) if items.iter().any(|item| item.is_array() || item.is_object()) => {
                let each = items
                    .iter()
                    .map(|item| self.format_lines(item, &inner, unit));
                ('[', each.collect(), ']')
            }
            Value::Object(members) if !members.is_empty() => {
                let each = members.iter().map(|(key, member)| {
                    format!(
                        "{}: {}",
                        self.format_key(key, 0),
                        self.format_lines(member, &inner, unit)
                    )
                });
                ('{', each.collect(), '}')
            }
            _ => return self.format_compact(value),
        };

        let newline = self.newline;
        let lines = lines.join(&format!(",{newline}{inner}"));
        format!("{open}{newline}{inner}{lines}{newline}{indent}{close}")
    }
}

/// Returns whether the text needs no quotes in YAML, neither in a block nor in a flow collection.
fn is_plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '_');
    begins && text.chars().all(allowed) && is_word(text)
}
