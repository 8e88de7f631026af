//! JSON as YAML that people like to read: comments where they are wanted, CloudFormation's functions in their
//! short form, no quotes where none are needed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use task_definition::escape;

/// What is to be said above a value, by its JSON pointer.
pub(super) type Comments = BTreeMap<String, String>;

/// The value as text.
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
    /// The pointer of the value that is being written.
    at: String,
    comments: &'c Comments,
}

impl Writer<'_> {
    /// A value in lines of its own; whatever leads to it stands already.
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
            let around = self.step(&escape(name));
            if lead == Lead::Line {
                // A section of the template, and each of its things, gets air around it.
                if indent == 0 || (indent == 2 && self.comments.contains_key(&self.at)) {
                    self.air();
                }
                self.comment(indent);
                self.indent(indent);
            }

            lead = Lead::Line;
            scalar(&mut self.text, name, Context::Block);
            self.text.push(':');
            self.after(value, indent + 2);
            self.at.truncate(around);
        }
    }

    fn list(&mut self, items: &[Value], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            let around = self.step(&index.to_string());
            self.comment(indent);
            self.indent(indent);
            self.text.push('-');

            match item {
                Value::Object(fields) if !fields.is_empty() && function(item).is_none() => {
                    self.text.push(' ');
                    self.map(fields, indent + 2, Lead::Dash);
                }
                item => self.after(item, indent + 2),
            }
            self.at.truncate(around);
        }
    }

    /// What follows `key:` or `-`.
    fn after(&mut self, value: &Value, indent: usize) {
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

    /// Goes down to a value; returns how long the pointer was before.
    fn step(&mut self, name: &str) -> usize {
        let around = self.at.len();
        self.at.push('/');
        self.at.push_str(name);
        around
    }

    fn comment(&mut self, indent: usize) {
        let Some(comment) = self.comments.get(&self.at) else {
            return;
        };
        let mut line = String::new();
        let mut lines = Vec::new();

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

    fn air(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(":\n") {
            self.text.push('\n');
        }
    }
}

/// What stands before the first key of a map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// The beginning of a line.
    Line,
    /// The dash of a list.
    Dash,
}

/// Where a scalar stands: inside `[…]` commas and brackets mean something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    Flow,
}

const WIDTH: usize = 110;

/// Writes a value that fits into the rest of a line; whether it does. Where not, the rest is to be cut off.
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

/// The short form of a function of CloudFormation: `{"Fn::GetAtt": ["Queue", "Arn"]}` is `!GetAtt
/// Queue.Arn`; its name and its argument.
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

/// Writes a string, quoted only where YAML would take it for something else.
fn scalar(line: &mut String, text: &str, context: Context) {
    if is_plain(text, context) {
        line.push_str(text);
        return;
    }

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

/// Charset that a quoted string cannot hold as they are.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Whether a string means itself without quotes; where in doubt it does not.
fn is_plain(text: &str, context: Context) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let letters = text.chars().all(|letter| {
        letter.is_ascii_alphanumeric()
            || "_./@+=*-: ()'".contains(letter)
            || (context == Context::Block && ",;$".contains(letter))
    });
    let colons = !text.contains(": ") && !text.ends_with([':', ' ']);
    begins && letters && colons && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// What YAML, of whatever version, takes for something other than text.
const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use task_definition::source::{self, Source};

    use super::*;

    #[test]
    fn writes_functions_short_and_comments_where_they_belong() {
        let value = json!({
            "Role": { "Fn::GetAtt": ["Role", "Arn"] },
            "Cluster": { "Fn::Sub": "arn:${Cluster}" },
            "Group": { "Fn::If": ["Made", { "Ref": "Group" }, { "Name": "other", "No": 7 }] },
            "Both": [{ "a": 1 }, { "Ref": "B" }],
        });

        let comments = [("/Role".to_owned(), "Whose it is.".to_owned())].into();
        assert_eq!(
            text(&value, &comments),
            "# Whose it is.\nRole: !GetAtt [Role, Arn]\n\nCluster: !Sub \"arn:${Cluster}\"\n\nGroup: !If\n  \
             - Made\n  - !Ref Group\n  - Name: other\n    \"No\": 7\n\nBoth:\n  - a: 1\n  - !Ref B\n"
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
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
        fn what_is_written_reads_back_as_it_was(value in any_value()) {
            let written = text(&value, &Comments::new());
            let read = source::parse(&Source::new("written.yaml", written.clone()));
            let read = read.map(|node| node.to_json());
            prop_assert_eq!(read.ok(), Some(value), "{}", written);
        }
    }
}
