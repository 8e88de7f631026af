//! YAML for people: block style, a plain word where that is safe, quotes where it is not.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A map as a YAML text. Lists of text stay on one line, everything else has a line of its own.
pub(super) fn yaml(map: &Map<String, Value>) -> String {
    let mut text = String::new();
    entries(&mut text, map, 0);
    text
}

fn entries(text: &mut String, map: &Map<String, Value>, depth: usize) {
    for (key, value) in map {
        let _ = write!(text, "{:1$}{key}:", "", 2 * depth, key = scalar(key));
        below(text, value, depth);
    }
}

/// What follows a key or a dash.
fn below(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Null => text.push('\n'),
        Value::Object(map) if map.is_empty() => text.push_str(" {}\n"),
        Value::Object(map) => {
            text.push('\n');
            entries(text, map, depth + 1);
        }
        Value::Array(items) if items.iter().any(|one| one.is_object() || one.is_array()) => {
            text.push('\n');
            for item in items {
                let _ = write!(text, "{:1$}-", "", 2 * (depth + 1));
                dashed(text, item, depth + 2);
            }
        }
        Value::Array(items) => {
            // In a list on one line a comma or a brace ends a plain word, so every text is quoted.
            let items: Vec<String> = items.iter().map(in_line).collect();
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

/// An item of a list of maps: its first entry stands beside the dash.
fn dashed(text: &mut String, item: &Value, depth: usize) {
    let Value::Object(map) = item else {
        return below(text, item, depth - 1);
    };
    let mut inner = String::new();
    entries(&mut inner, map, depth);
    let _ = write!(text, " {}", inner.trim_start());
}

fn in_line(value: &Value) -> String {
    match value {
        Value::String(string) => quoted(string),
        other => other.to_string(),
    }
}

fn scalar(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Whether every reader of YAML, old and new, takes the bare word for exactly this text.
fn is_plain(text: &str) -> bool {
    if let Some(number) = text.strip_suffix(['s', 'm']) {
        // Seconds and mebibytes.
        return !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) || is_word(text);
    }
    is_word(text)
}

fn is_word(text: &str) -> bool {
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let word = |c: char| c.is_ascii_alphanumeric() || "_./@:=+-".contains(c);
    let lower = text.to_lowercase();
    starts && text.chars().all(word) && !text.ends_with(':') && !TAKEN.contains(&lower.as_str())
}

/// Words that are a truth or nothing to one reader or another.
const TAKEN: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// The text as JSON writes it, which YAML reads alike, but for the line ends that only YAML has.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in Value::from(text).to_string().chars() {
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
    use serde_json::json;
    use task_definition::source::{Source, parse};

    /// Texts that have fooled one reader of YAML or another.
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
    fn reads_back_as_it_was_written() {
        let odd = json!(
            ODD.iter()
                .map(|text| (format!("k{text}"), *text))
                .collect::<Vec<_>>()
        );
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
    fn is_what_a_person_would_have_written() {
        let value = json!({ "image": "busybox:1.37", "user": "65532:65532", "ports": [{ "target": 1, "on": "x" }] });
        let text = yaml(value.as_object().unwrap_or(&Map::new()));
        let expected =
            "image: busybox:1.37\nuser: \"65532:65532\"\nports:\n  - target: 1\n    \"on\": x\n";
        assert_eq!(text, expected);
    }
}
