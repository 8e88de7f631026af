//! Writes JSON as readable YAML: with comments, CloudFormation's functions in their short form, and quotes
//! only where needed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use diagnostics::escape;
use serde_json::{Map, Value};

/// Comments to write above values, by JSON pointer.
pub(super) type Comments = BTreeMap<String, String>;

/// Returns a value as YAML.
pub(super) fn text(value: &Value, comments: &Comments) -> String {
    let mut writer = Writer {
        text: String::new(),
        at: String::new(),
        comments,
    };
    writer.block(value, 0);
    writer.text.trim_start_matches('\n').to_owned()
}

struct Writer<'c> {
    text: String,
    /// The pointer of the current value.
    at: String,
    comments: &'c Comments,
}

impl Writer<'_> {
    /// Writes a value in block style; its key or dash is already written.
    fn block(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(fields) if !fields.is_empty() && function(value).is_none() => {
                self.map(fields, indent, Lead::Line);
            }
            Value::Array(items) if !items.is_empty() => self.list(items, indent),
            other => {
                inline(&mut self.text, other);
                self.text.push('\n');
            }
        }
    }

    fn map(&mut self, fields: &Map<String, Value>, indent: usize, mut lead: Lead) {
        for (name, value) in fields {
            let parent_len = self.enter(&escape(name));
            if lead == Lead::Line {
                // A blank line precedes each section of the template, and each entry with a comment.
                if indent == 0 || (indent == 2 && self.comments.contains_key(&self.at)) {
                    self.blank_line();
                }
                self.comment(indent);
                self.indent(indent);
            }

            lead = Lead::Line;
            scalar(&mut self.text, name, Context::Block);
            self.text.push(':');
            self.after_lead(value, indent + 2);
            self.at.truncate(parent_len);
        }
    }

    fn list(&mut self, items: &[Value], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            let parent_len = self.enter(&index.to_string());
            self.comment(indent);
            self.indent(indent);
            self.text.push('-');

            // A map starts on the line of its dash; everything else is written like a map's value.
            match item {
                Value::Object(fields) if !fields.is_empty() && function(item).is_none() => {
                    self.text.push(' ');
                    self.map(fields, indent + 2, Lead::Dash);
                }
                item => self.after_lead(item, indent + 2),
            }
            self.at.truncate(parent_len);
        }
    }

    /// Writes the value after `key:` or `-`.
    fn after_lead(&mut self, value: &Value, indent: usize) {
        // Tried on the same line first, and undone if it does not fit.
        let before = self.text.len();
        self.text.push(' ');
        if inline(&mut self.text, value) {
            self.text.push('\n');
            return;
        }

        self.text.truncate(before);
        if let Some((tag, argument)) = function(value) {
            let _ = writeln!(self.text, " !{tag}");
            self.block(argument, indent);
        } else {
            self.text.push('\n');
            self.block(value, indent);
        }
    }

    /// Appends a step to the pointer; returns the pointer's previous length.
    fn enter(&mut self, name: &str) -> usize {
        let parent_len = self.at.len();
        self.at.push('/');
        self.at.push_str(name);
        parent_len
    }

    fn comment(&mut self, indent: usize) {
        let Some(comment) = self.comments.get(&self.at) else {
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

    fn blank_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(":\n") {
            self.text.push('\n');
        }
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

/// The context of a scalar: in `[…]` commas and brackets are syntax.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    Flow,
}

const WIDTH: usize = 110;

/// Writes a value on the current line; returns whether it fits. If not, the caller truncates the text.
fn inline(line: &mut String, value: &Value) -> bool {
    let before = line.len();
    flow(line, value, Context::Block) && (line.len() - before < WIDTH || is_scalar(value))
}

fn flow(line: &mut String, value: &Value, context: Context) -> bool {
    if let Some((tag, argument)) = function(value) {
        let _ = write!(line, "!{tag} ");
        return flow(line, argument, context);
    }

    match value {
        Value::Array(items) if items.is_empty() => line.push_str("[]"),
        Value::Object(fields) if fields.is_empty() => line.push_str("{}"),
        Value::Object(_) => return false,
        Value::Array(items) => {
            // Nested lists and maps are easier to read in block style.
            let is_flat = |item| is_scalar(item) || function(item).is_some();
            if !items.iter().all(is_flat) {
                return false;
            }

            line.push('[');
            for (index, item) in items.iter().enumerate() {
                line.push_str(if index == 0 { "" } else { ", " });
                if !flow(line, item, Context::Flow) {
                    return false;
                }
            }
            line.push(']');
        }
        Value::String(text) => scalar(line, text, context),
        other => {
            let _ = write!(line, "{other}");
        }
    }

    true
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Returns tag and argument of a CloudFormation function: `{"Fn::GetAtt": ["Queue", "Arn"]}` is
/// `!GetAtt [Queue, Arn]`.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, argument) = fields.iter().next()?;
    let short = match name.as_str() {
        "Ref" => "Ref",
        long => long.strip_prefix("Fn::")?,
    };
    FUNCTIONS.contains(&short).then_some((short, argument))
}

const FUNCTIONS: [&str; 10] = [
    "Ref", "Sub", "GetAtt", "If", "Equals", "Not", "And", "Join", "Select", "Split",
];

/// Writes a string, in quotes only where YAML would read it differently.
fn scalar(line: &mut String, text: &str, context: Context) {
    if is_plain(text, context) {
        line.push_str(text);
        return;
    }

    // Single quotes need no escapes for `"` and `\`, as in event patterns and templates.
    let printable = !text.contains(is_unprintable);
    if text.contains(['"', '\\']) && printable {
        let _ = write!(line, "'{}'", text.replace('\'', "''"));
        return;
    }

    line.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => line.extend(['\\', letter]),
            '\n' => line.push_str("\\n"),
            letter if is_unprintable(letter) => {
                let _ = write!(line, "\\U{:08X}", u32::from(letter));
            }
            letter => line.push(letter),
        }
    }

    line.push('"');
}

/// Returns whether a character must be escaped in a quoted string.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Returns whether a string can be written without quotes. In doubt it returns `false`.
fn is_plain(text: &str, context: Context) -> bool {
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let allowed = text.chars().all(|letter| {
        letter.is_ascii_alphanumeric()
            || "_./@+=*-: ()'".contains(letter)
            || (context == Context::Block && ",;$".contains(letter))
    });
    let no_mapping = !text.contains(": ") && !text.ends_with([':', ' ']);
    starts && allowed && no_mapping && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The words that YAML 1.1 or 1.2 reads as something other than text.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

#[cfg(test)]
mod tests {
    use diagnostics::source::{self, Source};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_short_functions_and_comments() {
        let value = json!({
            "Role": { "Fn::GetAtt": ["Role", "Arn"] },
            "Cluster": { "Fn::Sub": "arn:${Cluster}" },
            "Group": { "Fn::If": ["Made", { "Ref": "Group" }, { "Name": "other", "No": 7 }] },
            "Both": [{ "a": 1 }, { "Ref": "B" }],
        });

        let comments = [("/Role".to_owned(), "The role.".to_owned())].into();
        assert_eq!(
            text(&value, &comments),
            "# The role.\nRole: !GetAtt [Role, Arn]\n\nCluster: !Sub \"arn:${Cluster}\"\n\nGroup: !If\n  \
             - Made\n  - !Ref Group\n  - Name: other\n    \"No\": 7\n\nBoth:\n  - a: 1\n  - !Ref B\n"
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            // Dense in YAML's indicators, which random strings rarely contain.
            "[a-zA-Z0-9:#,'\" \\[\\]{}&*!|>%@`.~-]{0,12}".prop_map(Value::from),
        ];

        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z0-9 :#-]{1,8}", inner, 0..5)
                    .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn round_trips(value in any_value()) {
            let written = text(&value, &Comments::new());
            let read = source::parse(&Source::new("written.yaml", written.clone()));
            let read = read.map(|node| node.to_json());
            prop_assert_eq!(read.ok(), Some(value), "{}", written);
        }
    }
}
