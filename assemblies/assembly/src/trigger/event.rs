//! A local implementation of EventBridge's pattern matching and input transformation.
//!
//! Sources: EventBridge user guide, "Comparison operators", "Input transformation"; S3 user guide,
//! "EventBridge event message structure".

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{overrides_template, paths, pattern, variables};
use crate::plan::Plan;
use crate::resolve::AssemblyMember;

/// The maximum number of characters of RunTask's overrides, including the JSON structure (ECS API, `TaskOverride`).
pub const MAX_OVERRIDES_CHARS: usize = 8192;

/// A new object, as in the event that S3 sends to EventBridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bucket's name.
    pub bucket: String,
    /// The key, not URL-encoded.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The entity tag, which identifies the content.
    pub etag: String,
    /// Increases with each write of the same key: hexadecimal digits, compared as strings of equal length.
    pub sequencer: String,
}

/// Returns the event for a new object. `id` identifies the event: two deliveries of an event have the same id.
pub fn object_created(object: &Object, id: &str, account: &str, region: &str) -> Value {
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": account,
        "region": region,
        "resources": [format!("arn:aws:s3:::{}", object.bucket)],
        "detail": {
            "version": "0",
            "bucket": { "name": object.bucket },
            "object": {
                "key": object.key,
                "size": object.size,
                "etag": object.etag,
                "sequencer": object.sequencer,
            },
            "reason": "PutObject",
        },
    })
}

/// The container overrides that a task starts with.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The container with the variables.
    pub container: String,
    /// The variables, in the order of the overrides.
    pub variables: Vec<(String, String)>,
    /// The `overrides` of RunTask.
    pub overrides: Value,
    /// The length of the overrides; at most [`MAX_OVERRIDES_CHARS`] are allowed.
    pub characters: usize,
}

/// The reason why an event does not start a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The assembly has no trigger.
    #[error("the assembly has no `on_demand`, so no event starts it")]
    NotOnDemand,
    /// The rule's pattern does not match.
    #[error("the rule does not match: {0}")]
    PatternMismatch(String),
    /// The template with the fields of the event is not valid JSON.
    #[error(
        "the rule's template and this event do not give valid JSON: {0}; a quote or a backslash in the key causes this"
    )]
    InvalidJson(String),
    /// RunTask would reject the overrides.
    #[error("the overrides have {0} characters; RunTask accepts at most {MAX_OVERRIDES_CHARS}")]
    TooLong(usize),
}

/// Applies the EventBridge rule of an assembly to an event.
pub fn start(plan: &Plan, event: &Value) -> Result<Start, StartError> {
    let on_demand = plan.on_demand().ok_or(StartError::NotOnDemand)?;
    if let Some(reason) = mismatch(&pattern(on_demand), event, "") {
        return Err(StartError::PatternMismatch(reason));
    }

    let container = plan.app().map_or(plan.name(), AssemblyMember::name);
    let declared = variables(&plan.wiring.assembly);
    let template = overrides_template(container, &declared);
    let text = render_template(&template, &paths(&declared), event);
    let overrides: Value =
        serde_json::from_str(&text).map_err(|error| StartError::InvalidJson(error.to_string()))?;
    // RunTask counts characters, not bytes.
    let characters = text.chars().count();

    if characters > MAX_OVERRIDES_CHARS {
        return Err(StartError::TooLong(characters));
    }

    let environment = overrides.pointer("/containerOverrides/0/environment");
    let variables = environment.and_then(Value::as_array).into_iter().flatten();
    let text =
        |variable: &Value, field: &str| variable[field].as_str().unwrap_or_default().to_owned();
    Ok(Start {
        container: container.to_owned(),
        variables: variables
            .map(|variable| (text(variable, "name"), text(variable, "value")))
            .collect(),
        overrides,
        characters,
    })
}

/// Returns whether an event matches a pattern.
pub fn matches(pattern: &Value, event: &Value) -> bool {
    mismatch(pattern, event, "").is_none()
}

/// Returns the first field that does not match. Several fields below a list must all match the same item.
fn mismatch(pattern: &Value, event: &Value, at: &str) -> Option<String> {
    let mut fields = pattern.as_object().into_iter().flatten();
    fields.find_map(|(name, expected)| field(name, expected, event, at))
}

fn field(name: &str, expected: &Value, event: &Value, at: &str) -> Option<String> {
    let path = if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    };

    let found = event.get(name).unwrap_or(&Value::Null);
    match (name, expected) {
        ("$or", Value::Array(alternatives)) => {
            let matches_any = alternatives
                .iter()
                .any(|alternative| matches(alternative, event));
            (!matches_any).then(|| format!("no alternative of `$or` in `{at}` matches"))
        }
        // A list of tests passes when any of them does; a missing field never passes.
        (_, Value::Array(tests)) => {
            let passed = !found.is_null() && tests.iter().any(|test| passes(test, found));
            (!passed).then(|| format!("`{path}` is {found}, but the rule expects {expected}"))
        }
        (_, inner) => match found {
            Value::Array(items) => {
                let matches_any = items.iter().any(|item| matches(inner, item));
                (!matches_any).then(|| format!("no item of `{path}` matches the rule: {inner}"))
            }
            Value::Object(_) => mismatch(inner, found, &path),
            _ => Some(format!("`{path}` is missing")),
        },
    }
}

/// Applies one test to a value. Tests that the rules of this crate do not use never pass.
fn passes(test: &Value, found: &Value) -> bool {
    let text = found.as_str().unwrap_or_default();
    let Some((name, argument)) = test.as_object().and_then(|test| test.iter().next()) else {
        return test == found;
    };
    let word = argument.as_str().unwrap_or_default();

    match name.as_str() {
        "prefix" => text.starts_with(word),
        "suffix" => text.ends_with(word),
        "wildcard" => wildcard(word, text),
        "anything-but" => argument.as_array().is_some_and(|all| !all.contains(found)),
        "numeric" => argument[0] == ">" && found.as_f64() > argument[1].as_f64(),
        _ => false,
    }
}

/// Matches a wildcard: `*` is any text, `\*` a star and `\\` a backslash. Taking the first occurrence of each piece
/// between stars finds a match if there is one, without backtracking.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pieces = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, pieces.last_mut()) {
            ('*', _) => pieces.push(String::new()),
            ('\\', Some(piece)) => piece.extend(chars.next()),
            (c, Some(piece)) => piece.push(c),
            (_, None) => {}
        }
    }

    let (Some((first, rest)), false) = (pieces.split_first(), pieces.is_empty()) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return text == first;
    };
    // The first piece is anchored at the start and the last one at the end.
    let Some(mut left) = text
        .strip_prefix(first.as_str())
        .and_then(|left| left.strip_suffix(last.as_str()))
    else {
        return false;
    };

    middle.iter().all(|piece| {
        let found = left.find(piece.as_str());
        left = found.map_or("", |at| &left[at + piece.len()..]);
        found.is_some()
    })
}

/// Fills a template: a field within quotes becomes its text, a field without quotes becomes JSON.
pub(super) fn render_template(
    template: &str,
    paths: &BTreeMap<&str, &str>,
    event: &Value,
) -> String {
    let mut text = String::new();
    let mut rest = template;

    // Inserted text is not searched again: a key may contain `<key>`.
    while let Some((before, name, after)) = next_field(rest, paths) {
        text.push_str(before);
        let pointer = paths[name].trim_start_matches('$').replace('.', "/");
        let found = event.pointer(&pointer).unwrap_or(&Value::Null);
        // After a colon the template has no quotes, so the value is inserted as JSON.
        match found.as_str().filter(|_| !before.ends_with(':')) {
            Some(plain) => text.push_str(plain),
            None => text.push_str(&found.to_string()),
        }
        rest = after;
    }

    text + rest
}

/// Returns the text before the next `<field>`, the field, and the text after it.
fn next_field<'t>(
    template: &'t str,
    paths: &BTreeMap<&str, &str>,
) -> Option<(&'t str, &'t str, &'t str)> {
    let mut from = 0;
    while let Some(open) = template[from..].find('<').map(|at| from + at) {
        let inner = &template[open + 1..];
        if let Some((name, after)) = inner
            .split_once('>')
            .filter(|(name, _)| paths.contains_key(name))
        {
            return Some((&template[..open], name, after));
        }
        from = open + 1;
    }

    None
}
