//! The template functions of ecspresso, whose results are unknown before it runs.
//!
//! <https://github.com/kayac/ecspresso#template-syntax>: `{{ must_env "TAG" }}` in a text, and `{{ env "PORT" "80" }}`
//! without quotes where the API expects a number.

use diagnostics::escape;
use diagnostics::source::{Node, NodeValue, Source};
use task_definition::Schema;

use super::candidates::{FILLERS, fill, minimal_value};
use super::convert::UnknownValue;
use super::evaluate::Piece;

/// Returns a text of the same length in which each call of a function is inside of a JSON string, or `None` if the
/// text has no call.
pub(super) fn quote_calls(source: &Source) -> Option<Source> {
    let text = &source.text;
    let mut calls = text.split("{{").skip(1);
    if !calls.any(|after| {
        after
            .split_once("}}")
            .is_some_and(|(call, _)| is_call(call))
    }) {
        return None;
    }

    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut in_string = false;
    while let Some(start) = rest.find("{{") {
        let (before, call) = rest.split_at(start);
        let Some(length) = call.find("}}").map(|end| end + 2) else {
            break;
        };
        in_string = ends_in_string(before, in_string);
        result.push_str(before);

        let (call, after) = call.split_at(length);
        rest = after;
        if !is_call(&call[2..length - 2]) {
            result.push_str(call);
            continue;
        }
        // Quotes inside of the call would end the string around it. All replacements keep the offsets.
        let call = call.replace('"', "`");
        if !in_string && starts_value(&result) {
            result.push('"');
            result.push_str(&call[1..length - 1]);
            result.push('"');
        } else {
            result.push_str(&call);
        }
    }
    result.push_str(rest);
    Some(Source::new(source.name.clone(), result))
}

/// Returns whether a value of JSON or YAML starts after a text. In YAML, a colon without a space is part of a word.
fn starts_value(before: &str) -> bool {
    let text = before.trim_end();
    let has_space = text.len() < before.len();
    text.ends_with("\":") || text.ends_with(['[', ',']) || (has_space && text.ends_with([':', '-']))
}

/// Returns whether a JSON text ends inside of a string.
fn ends_in_string(text: &str, mut inside: bool) -> bool {
    let mut escaped = false;
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
    }
    inside
}

/// Replaces texts with calls by minimal values, and returns them as unknown values.
pub(super) fn take_unknowns(node: &mut Node, schema: Schema) -> Vec<UnknownValue> {
    let mut unknowns = Vec::new();
    take(node, schema, "", &mut unknowns);
    unknowns
}

fn take(node: &mut Node, schema: Schema, pointer: &str, unknowns: &mut Vec<UnknownValue>) {
    let below = |step: &str| format!("{pointer}/{step}");
    match (schema, &mut node.value) {
        (Schema::Record(fields), NodeValue::Map(entries)) => {
            for (key, value) in entries {
                if let Some(field) = fields.iter().find(|field| field.name == key.name) {
                    take(value, field.schema, &below(field.name), unknowns);
                }
            }
        }
        (Schema::List(inner), NodeValue::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                take(item, *inner, &below(&index.to_string()), unknowns);
            }
        }
        (Schema::TextMap, NodeValue::Map(entries)) => {
            for (key, value) in entries {
                take(value, Schema::Text, &below(&escape(&key.name)), unknowns);
            }
        }
        (_, NodeValue::Text(text)) => {
            let Some(pieces) = pieces(text) else { return };
            let value = match schema {
                Schema::Text => serde_json::Value::String(fill(&pieces, FILLERS[0])),
                schema => minimal_value(schema, &[]),
            };
            *node = super::convert::node_from_json(&value, node.span);
            unknowns.push(UnknownValue {
                pointer: pointer.to_owned(),
                schema,
                pieces,
                optional: false,
                own_key: false,
            });
        }
        _ => {}
    }
}

/// Returns the parts of a text with calls of the known functions.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    // A call that was written without quotes has lost its outer braces.
    if let Some(call) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        && !call.starts_with('{')
    {
        return is_call(call).then(|| vec![Piece::Unknown(call.trim().to_owned())]);
    }

    let mut rest = text;
    let mut has_call = false;
    while let Some((before, after)) = rest.split_once("{{") {
        let (call, tail) = after.split_once("}}")?;
        has_call |= is_call(call);
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(Piece::Unknown(call.trim().to_owned()));
        rest = tail;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    has_call.then_some(pieces)
}

fn is_call(call: &str) -> bool {
    // Go templates trim white space next to `{{-`.
    let name = call.trim_start_matches('-').split_whitespace().next();
    name.is_some_and(|name| FUNCTIONS.contains(&name))
}

/// The functions of ecspresso and of its plugins.
const FUNCTIONS: [&str; 10] = [
    "must_env",
    "env",
    "tfstate",
    "tfstatef",
    "ssm",
    "secretsmanager_arn",
    "secretsmanager",
    "cfn_output",
    "cfn_export",
    "external",
];
