//! Writes compact YAML: blocks for long values, one line for short ones, quotes where they are needed.

use serde_json::{Map, Value};

/// The maximum length of a line before a value is written as a block.
const WIDTH: usize = 110;

/// Formats a key and its value as lines that end with a newline.
pub(crate) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let inline = format!("{margin}{}: {}\n", scalar(key), flow(value));
    // An empty map or list has no block form.
    if inline.chars().count() <= WIDTH || is_scalar(value) {
        return inline;
    }
    format!("{margin}{}:\n{}", scalar(key), block(value, indent + 2))
}

fn block(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| entry(key, value, indent))
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(fields) if !fits(item, indent) => {
                    let fields = block(&Value::Object(fields.clone()), indent + 2);
                    format!("{margin}- {}", fields.trim_start())
                }
                item => format!("{margin}- {}\n", flow(item)),
            })
            .collect(),
        scalar => format!("{margin}{}\n", flow(scalar)),
    }
}

fn fits(value: &Value, indent: usize) -> bool {
    flow(value).chars().count() + indent + 2 <= WIDTH
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}

/// Formats a value in flow style, on one line.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => in_braces(fields),
    }
}

fn in_braces(fields: &Map<String, Value>) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(key, value)| format!("{}: {}", scalar(key), flow(value)))
        .collect();
    if fields.is_empty() {
        return "{}".to_owned();
    }
    format!("{{ {} }}", fields.join(", "))
}

/// Formats a string, with quotes unless every YAML parser reads it as a string without them.
fn scalar(text: &str) -> String {
    let mut chars = text.chars();
    let begins_plain = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let continues_plain = chars.all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let lower = text.to_ascii_lowercase();
    // YAML 1.1 parsers read `yes`, `on` and similar words as booleans.
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

    if begins_plain && continues_plain && !reserved.contains(&lower.as_str()) {
        return text.to_owned();
    }

    // A JSON string is also a YAML string.
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use diagnostics::source::{Source, parse};
    use serde_json::json;

    use super::*;

    #[test]
    fn parsing_returns_the_written_value() {
        // Texts that a parser would misread without quotes, and values that need blocks.
        let value = json!({ "a": "no", "b c": ["1", "x: y", "#", "", "line\nline", "tab\t", "é"],
            "long": [{ "name": "x".repeat(60), "value": "y".repeat(60) }, { "k": {} }],
            "deep": { "list": ["z".repeat(70), "- w".repeat(20)], "null": null, "n": -1.5 } });
        let text: String = value
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| entry(key, value, 0))
            .collect();

        let read = parse(&Source::new("t.yaml", text.clone())).unwrap();
        assert_eq!(read.to_json(), value, "{text}");
    }
}
