//! Writes YAML as a person would: blocks outside, one line for what is short, quotes where they are needed.

use serde_json::{Map, Value};

/// The longest line that is still written in one piece.
const WIDTH: usize = 110;

/// A map under a key, as lines that end with a newline.
pub(crate) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let inline = format!("{margin}{}: {}\n", word(key), flow(value));
    if inline.chars().count() <= WIDTH || is_scalar(value) {
        return inline;
    }
    format!("{margin}{}:\n{}", word(key), block(value, indent + 2))
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

/// The value in one line.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => word(text),
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
        .map(|(key, value)| format!("{}: {}", word(key), flow(value)))
        .collect();
    if fields.is_empty() {
        return "{}".to_owned();
    }
    format!("{{ {} }}", fields.join(", "))
}

/// A text, in quotes unless every reader of YAML takes it for a text without.
fn word(text: &str) -> String {
    let mut letters = text.chars();
    let begins = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let goes_on = letters.all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    let lower = text.to_ascii_lowercase();
    let means_else = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

    if begins && goes_on && !means_else.contains(&lower.as_str()) {
        return text.to_owned();
    }

    // A text in JSON is a text in YAML.
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use task_definition::source::{Source, parse};

    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
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
