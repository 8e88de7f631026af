//! An event held against the rule, and what the task is then told: what EventBridge does, here.
//!
//! Sources: EventBridge user guide, "Comparison operators", "Input transformation"; S3 user guide,
//! "EventBridge event message structure".

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{overrides_template, paths, pattern, variables};
use crate::plan::Plan;
use crate::resolve::AssemblyMember;

/// Characters that RunTask takes as overrides, the structure of the JSON included (ECS API, `TaskOverride`).
pub const MAX_OVERRIDES_CHARS: usize = 8192;

/// A new object, as S3 tells EventBridge of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bucket's name.
    pub bucket: String,
    /// The key as it is, not encoded.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// What tells one content from another; opaque.
    pub etag: String,
    /// A later write of the same key has a greater one: hexadecimal digits, compared as text of one length.
    pub sequencer: String,
}

/// The event of a new object. The id is the event's own: two deliveries of one event share it.
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

/// What a task is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The container that is told.
    pub container: String,
    /// Its variables, in the order of the overrides.
    pub variables: Vec<(String, String)>,
    /// What RunTask is given as `overrides`.
    pub overrides: Value,
    /// The length of the overrides, of which [`MAX_OVERRIDES_CHARS`] are allowed.
    pub characters: usize,
}

/// Why an event starts no task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The assembly is none that starts for events.
    #[error("the assembly has no `on_demand`: nothing starts it")]
    NotOnDemand,
    /// The rule's pattern does not match.
    #[error("the rule does not match: {0}")]
    PatternMismatch(String),
    /// The template and the event together are no JSON.
    #[error(
        "the rule's template makes no JSON of this event: {0}; a quote or a backslash in a key does that"
    )]
    InvalidJson(String),
    /// RunTask would refuse the overrides.
    #[error("the overrides have {0} characters, and RunTask takes {MAX_OVERRIDES_CHARS}")]
    TooLong(usize),
}

/// What the rule of an assembly does with an event.
pub fn start(plan: &Plan, event: &Value) -> Result<Start, StartError> {
    let on_demand = plan.on_demand().ok_or(StartError::NotOnDemand)?;
    if let Some(why) = mismatch(&pattern(on_demand), event, "") {
        return Err(StartError::PatternMismatch(why));
    }

    let container = plan.app().map_or(plan.name(), AssemblyMember::name);
    let declared = variables(&plan.wiring.assembly);
    let template = overrides_template(container, &declared);
    let text = render_template(&template, &paths(&declared), event);
    let overrides: Value =
        serde_json::from_str(&text).map_err(|error| StartError::InvalidJson(error.to_string()))?;
    let characters = text.chars().count();

    if characters > MAX_OVERRIDES_CHARS {
        return Err(StartError::TooLong(characters));
    }

    let told = overrides.pointer("/containerOverrides/0/environment");
    let told = told.and_then(Value::as_array).into_iter().flatten();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    Ok(Start {
        container: container.to_owned(),
        variables: told
            .map(|one| (text(one, "name"), text(one, "value")))
            .collect(),
        overrides,
        characters,
    })
}

/// Whether an event matches a pattern.
pub fn matches(pattern: &Value, event: &Value) -> bool {
    mismatch(pattern, event, "").is_none()
}

/// The first field that does not match. Fields below one list are tested on one and the same of its items.
fn mismatch(pattern: &Value, event: &Value, at: &str) -> Option<String> {
    let mut fields = pattern.as_object().into_iter().flatten();
    fields.find_map(|(name, wanted)| field(name, wanted, event, at))
}

fn field(name: &str, wanted: &Value, event: &Value, at: &str) -> Option<String> {
    let path = if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    };

    let found = event.get(name).unwrap_or(&Value::Null);
    match (name, wanted) {
        ("$or", Value::Array(ways)) => {
            let any = ways.iter().any(|way| matches(way, event));
            (!any).then(|| format!("none of the ways of `$or` in `{at}`"))
        }
        (_, Value::Array(tests)) => {
            let passed = !found.is_null() && tests.iter().any(|test| passes(test, found));
            (!passed).then(|| format!("`{path}` is {found}, and the rule wants {wanted}"))
        }
        (_, inner) => match found {
            Value::Array(items) => {
                let any = items.iter().any(|item| matches(inner, item));
                (!any).then(|| format!("no item of `{path}` is as the rule wants: {inner}"))
            }
            Value::Object(_) => mismatch(inner, found, &path),
            _ => Some(format!("`{path}` is not there")),
        },
    }
}

/// One test of one value; a test that no rule of ours has is never passed.
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

/// `*` is any text, `\*` a star, `\\` a backslash. The pieces between stars are looked for from left to right,
/// which finds a way where there is one.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut pieces = vec![String::new()];
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match (letter, pieces.last_mut()) {
            ('*', _) => pieces.push(String::new()),
            ('\\', Some(piece)) => piece.extend(letters.next()),
            (letter, Some(piece)) => piece.push(letter),
            (_, None) => {}
        }
    }

    let (Some((first, rest)), false) = (pieces.split_first(), pieces.is_empty()) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return text == first;
    };
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

/// A template render_template in: a field in quotes comes in as its text, one without quotes as JSON.
pub(super) fn render_template(
    template: &str,
    paths: &BTreeMap<&str, &str>,
    event: &Value,
) -> String {
    let mut text = String::new();
    let mut rest = template;

    // What was render_template in is not looked at again: a key may well be called `<key>`.
    while let Some((before, name, after)) = next_field(rest, paths) {
        text.push_str(before);
        let pointer = paths[name].trim_start_matches('$').replace('.', "/");
        let found = event.pointer(&pointer).unwrap_or(&Value::Null);
        match found.as_str().filter(|_| !before.ends_with(':')) {
            Some(plain) => text.push_str(plain),
            None => text.push_str(&found.to_string()),
        }
        rest = after;
    }

    text + rest
}

/// The text before the next `<field>`, the field, and the text after it.
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
