//! Resolves plain (unquoted) YAML scalars by the core schema: `no` is a string, `0x1F` is a number.

use serde_json::Number;

use super::{Node, NodeValue, Source};

/// Resolves a plain scalar (YAML 1.2.2, section 10.3.2).
pub(super) fn plain(text: &str) -> NodeValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        _ => number(text).map_or_else(|| NodeValue::Text(text.to_owned()), NodeValue::Number),
    }
}

/// Returns the name of a key. A key is a string even if it looks like a number or boolean.
pub(super) fn key(node: &Node, source: &Source) -> Option<String> {
    match &node.value {
        NodeValue::Text(text) | NodeValue::Interpolated(text) => Some(text.clone()),
        NodeValue::Number(_) | NodeValue::Bool(_) | NodeValue::Null => {
            Some(source.excerpt(node.span).trim().to_owned())
        }
        NodeValue::List(_) | NodeValue::Map(_) => None,
    }
}

fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(Number::from);
    }

    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let looks_numeric = body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));

    // A leading zero occurs in codes and account ids such as 012345678901, not in numbers.
    let is_code =
        body.len() > 1 && body.starts_with('0') && body.bytes().all(|b| b.is_ascii_digit());
    if !looks_numeric || is_code {
        return None;
    }

    let text = text.strip_prefix('+').unwrap_or(text);
    // Integers keep all digits; a float would round them.
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }

    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}
