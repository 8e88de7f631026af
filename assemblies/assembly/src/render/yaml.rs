//! Writes YAML in block style, with quotes only where a plain scalar would be ambiguous.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Returns a map as YAML. Lists of scalars are written on one line.
pub(super) fn yaml(map: &Map<String, Value>) -> String {
    let mut text = String::new();
    entries(&mut text, map, 0);
    text
}

fn entries(text: &mut String, map: &Map<String, Value>, depth: usize) {
    for (key, value) in map {
        let _ = write!(text, "{:1$}{key}:", "", 2 * depth, key = scalar(key));
        write_value(text, value, depth);
    }
}

/// Writes the value after a key or a dash.
fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => text.push('\n'),
        Value::Object(map) if map.is_empty() => text.push_str(" {}\n"),
        Value::Object(map) => {
            text.push('\n');
            entries(text, map, depth + 1);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            text.push('\n');
            for item in items {
                let _ = write!(text, "{:1$}-", "", 2 * (depth + 1));
                write_item(text, item, depth + 2);
            }
        }
        Value::Array(items) => {
            // In a flow sequence a comma or a brace ends a plain scalar, so every text is quoted.
            let items: Vec<String> = items.iter().map(flow_item).collect();
            let _ = writeln!(text, " [{}]", items.join(", "));
        }
        Value::String(string) => {
            let _ = writeln!(text, " {}", scalar(string));
        }
        Value::Bool(_) | Value::Number(_) => {
            let _ = writeln!(text, " {value}");
        }
    }
}

/// Writes an item after its dash; the first entry of a map is on the dash's line.
fn write_item(text: &mut String, item: &Value, depth: usize) {
    let Value::Object(map) = item else {
        return write_value(text, item, depth - 1);
    };
    // Written at the item's depth, then the first line moves behind the dash.
    let mut inner = String::new();
    entries(&mut inner, map, depth);
    let _ = write!(text, " {}", inner.trim_start());
}

fn flow_item(value: &Value) -> String {
    match value {
        Value::String(string) => quote(string),
        other => other.to_string(),
    }
}

fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quote(text)
    }
}

/// Returns whether YAML 1.1 and 1.2 parsers read the plain scalar as exactly this text.
fn is_plain(text: &str) -> bool {
    if let Some(number) = text.strip_suffix(['s', 'm']) {
        // Amounts of seconds and mebibytes, like `5s` and `512m`, are text to every parser.
        return !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) || is_word(text);
    }
    is_word(text)
}

fn is_word(text: &str) -> bool {
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_./@:=+-".contains(c);
    let lower = text.to_lowercase();
    starts
        && text.chars().all(is_allowed)
        && !text.ends_with(':')
        && !RESERVED.contains(&lower.as_str())
}

/// The words that some parsers read as a Boolean or null.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// Returns the text as a double-quoted scalar.
///
/// JSON strings are valid YAML, except for characters that YAML treats as line breaks or does not allow.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for c in Value::from(text).to_string().chars() {
        // C1 controls, line and paragraph separators and the byte order mark: JSON leaves them bare.
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostics::source::{Source, parse};
    use serde_json::json;

    /// Texts that some YAML parsers read as something else.
    const ODD: [&str; 26] = [
        "",
        " ",
        "5s",
        "s",
        "no",
        "NO",
        "On",
        "y",
        "~",
        "null",
        "1",
        "1e3",
        "0x1f",
        "65532:65532",
        "12:30:45",
        "a: b",
        "a:",
        "- a",
        "a #b",
        "'a'",
        "\"a\"",
        "a\nb\n",
        "\u{85}\u{2028}\u{feff}",
        "{a}",
        "*a",
        "${A:?no \"b\"}",
    ];

    #[test]
    fn round_trips_ambiguous_texts() {
        let odd = json!(
            ODD.iter()
                .map(|text| (format!("k{text}"), *text))
                .collect::<Vec<_>>()
        );
        // Once as keys, once as values, once as both.
        let by_name: Map<String, Value> = ODD
            .iter()
            .map(|text| ((*text).to_owned(), json!(text)))
            .collect();
        let value = json!({
            "list": ODD, "pairs": odd, "map": by_name, "none": null, "empty": {}, "no": [],
            "numbers": [1, 2.5], "deep": [{ "a": { "b": [{ "c": "d", "e": true }] } }, { "f": null }],
        });
        let text = yaml(value.as_object().unwrap_or(&Map::new()));
        let read = parse(&Source::new("odd.yaml", text.clone())).map(|node| node.to_json());
        assert_eq!(read, Ok(value), "{text}");
    }

    #[test]
    fn writes_plain_scalars_where_possible() {
        // `on` is a Boolean in YAML 1.1, and `65532:65532` a base-60 number.
        let value = json!({ "image": "busybox:1.37", "user": "65532:65532", "ports": [{ "target": 1, "on": "x" }] });
        let text = yaml(value.as_object().unwrap_or(&Map::new()));
        let expected =
            "image: busybox:1.37\nuser: \"65532:65532\"\nports:\n  - target: 1\n    \"on\": x\n";
        assert_eq!(text, expected);
    }
}
