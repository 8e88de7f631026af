//! What a plain (unquoted) word of YAML means, by the core schema: `no` is a word, `0x1F` is a number.

use serde_json::Number;

use super::{Node, NodeValue, Source};

pub(super) fn plain(text: &str) -> NodeValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        _ => number(text).map_or_else(|| NodeValue::Text(text.to_owned()), NodeValue::Number),
    }
}

/// A key's name: keys are words, whatever else they look like.
pub(super) fn key(node: &Node, source: &Source) -> Option<String> {
    match &node.value {
        NodeValue::Text(text) => Some(text.clone()),
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
    let looks_like_one = body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));

    // A leading zero is how people write codes and account ids, not numbers.
    let is_code =
        body.len() > 1 && body.starts_with('0') && body.bytes().all(|b| b.is_ascii_digit());
    if !looks_like_one || is_code {
        return None;
    }

    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }

    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}
