//! Plain and quoted scalars.

use std::fmt::Write as _;

use serde_json::Value;

use super::Style;

/// The context of a scalar: in `[…]` and `{…}` commas and brackets are syntax.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    Block,
    Flow,
}

/// Writes a text, in quotes unless every YAML parser reads it as a text without them.
pub(super) fn write_scalar(line: &mut String, text: &str, style: Style<'_>, context: Context) {
    if is_plain(text, style, context) {
        line.push_str(text);
    } else if matches!(style, Style::Template(_)) && is_literal(text) {
        let _ = write!(line, "'{}'", text.replace('\'', "''"));
    } else {
        write_quoted(line, text);
    }
}

/// Returns whether a text is a plain scalar to YAML 1.1 and 1.2 parsers. In doubt it returns `false`.
fn is_plain(text: &str, style: Style<'_>, context: Context) -> bool {
    let (starts, continues) = match (style, context) {
        (Style::Compact, _) => ("/_", "_-./"),
        (Style::Compose, Context::Block) if is_amount(text) => return true,
        (Style::Compose, Context::Block) => ("/", "_./@:=+-"),
        (Style::Compose, Context::Flow) => return false,
        (Style::Template(_), Context::Block) => ("/", "_./@+=*-: ()',;$"),
        (Style::Template(_), Context::Flow) => ("/", "_./@+=*-: ()'"),
    };

    text.starts_with(|c: char| c.is_ascii_alphabetic() || starts.contains(c))
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || continues.contains(c))
        // Both would make it a key.
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Returns whether a text is an amount of seconds or mebibytes, like `5s` and `512m`: text to every parser.
fn is_amount(text: &str) -> bool {
    let number = text.strip_suffix(['s', 'm']).unwrap_or_default();
    !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
}

/// The words that YAML 1.1 or 1.2 reads as something other than text.
const RESERVED: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];

/// Returns whether single quotes are better, which need no escapes for `"` and `\`: event patterns and templates.
fn is_literal(text: &str) -> bool {
    text.contains(['"', '\\']) && !text.contains(|c: char| c.is_control() || is_special(c))
}

/// Writes a double-quoted scalar.
///
/// JSON strings are valid YAML, except for characters that YAML treats as line breaks or does not allow.
fn write_quoted(line: &mut String, text: &str) {
    for c in Value::from(text).to_string().chars() {
        if is_special(c) {
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
}

/// Returns whether YAML requires an escape and JSON does not: C1 controls, line and paragraph separators, byte
/// order marks and noncharacters.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}
