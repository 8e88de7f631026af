//! The trigger of an on-demand task: which events start it, and which variables it gets from them.
//!
//! S3 sends EventBridge an event for every new object, with the key unencoded (S3's own notifications
//! URL-encode it). The rule's pattern selects the events; its input transformer turns an event into
//! environment variables of the app's container.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::manifest::OnDemand;
use crate::resolve::{AssemblyMember, ResolvedAssembly, Role};

pub mod event;

#[cfg(test)]
#[allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]
mod tests;

/// Returns the EventBridge pattern of the events that start a task.
pub fn pattern(on_demand: &OnDemand) -> Value {
    // The S3 console creates "folders" as empty objects; those start no task.
    let mut object = json!({ "size": [{ "numeric": [">", 0] }] });
    if let Some(key) = key_pattern(on_demand) {
        object["key"] = json!([key]);
    }
    json!({
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": { "bucket": { "name": [on_demand.bucket] }, "object": object },
    })
}

/// Returns the test of the object's key, or `None` if any key starts a task.
fn key_pattern(on_demand: &OnDemand) -> Option<Value> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&on_demand.prefix), given(&on_demand.suffix)) {
        (None, None) => None,
        (Some(prefix), None) => Some(json!({ "prefix": prefix })),
        (None, Some(suffix)) => Some(json!({ "suffix": suffix })),
        (Some(prefix), Some(suffix)) => {
            // EventBridge combines several tests of one field with OR, so both ends go into one wildcard.
            let literal = |text: String| text.replace('\\', "\\\\").replace('*', "\\*");
            let wildcard = format!("{}*{}", literal(prefix), literal(suffix));
            Some(json!({ "wildcard": wildcard }))
        }
    }
}

/// An environment variable of the app's container, filled from the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The value, with `{field}` placeholders for fields of the event.
    pub text: String,
}

/// The fields of an event: the placeholder's name, the path in the event, and the greatest length in
/// characters.
//
// Lengths: S3 limits bucket names to 63 characters and keys to 1,024 bytes; an event id is a UUID.
pub const FIELDS: [(&str, &str, usize); 6] = [
    ("bucket", "$.detail.bucket.name", 63),
    ("etag", "$.detail.object.etag", 64),
    ("event", "$.id", 36),
    ("key", "$.detail.object.key", 1024),
    ("sequencer", "$.detail.object.sequencer", 64),
    ("size", "$.detail.object.size", 20),
];

/// The placeholder that is filled from the assembly, not from the event.
pub const OUTPUT_BUCKET: &str = "output_bucket";

/// Returns the app's variables as its component declares them, without those that the manifest sets.
pub(crate) fn variables(assembly: &ResolvedAssembly) -> Vec<Variable> {
    let app = assembly
        .members
        .iter()
        .find(|member| member.role == Role::App);
    let (Some(app), Some(on_demand)) = (app, &assembly.manifest.file().on_demand) else {
        return Vec::new();
    };
    let declared = &app.component.file().trigger;

    // Without declarations the app gets the raw fields of the event.
    if declared.is_empty() {
        return DEFAULT_VARIABLES
            .map(|(name, text)| variable(name, text))
            .to_vec();
    }

    let output = on_demand
        .output_bucket
        .as_ref()
        .unwrap_or(&on_demand.bucket);
    declared
        .iter()
        .filter(|(setting, _)| is_unset(app, setting))
        .map(|(setting, text)| {
            let text = text.replace("{output_bucket}", output);
            variable(&app.component.variable(setting), &text)
        })
        .collect()
}

fn variable(name: &str, text: &str) -> Variable {
    let (name, text) = (name.to_owned(), text.to_owned());
    Variable { name, text }
}

fn is_unset(app: &AssemblyMember, setting: &str) -> bool {
    !app.settings.contains_key(setting) && !app.secrets.contains_key(setting)
}

/// The variables of an app without a `trigger` in its component.
const DEFAULT_VARIABLES: [(&str, &str); 5] = [
    ("INPUT_BUCKET", "{bucket}"),
    ("INPUT_KEY", "{key}"),
    ("INPUT_ETAG", "{etag}"),
    ("INPUT_SEQUENCER", "{sequencer}"),
    ("EVENT_ID", "{event}"),
];

/// Returns the names in `{…}` in a text, including unknown ones.
pub(crate) fn fields(text: &str) -> Vec<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

/// Returns the `InputPathsMap` of an input transformer: the paths of the fields that variables use.
pub(crate) fn paths(variables: &[Variable]) -> BTreeMap<&'static str, &'static str> {
    let names: Vec<&str> = variables
        .iter()
        .flat_map(|variable| fields(&variable.text))
        .collect();
    FIELDS
        .iter()
        .filter(|(field, ..)| names.contains(field))
        .map(|(field, path, _)| (*field, *path))
        .collect()
}

/// Returns the overrides of the app's container as an input template: JSON with `<field>` placeholders.
pub(crate) fn overrides_template(container: &str, variables: &[Variable]) -> String {
    let mut environment = String::new();
    for Variable { name, text } in variables {
        // Written by hand, since a template with unquoted `<field>` placeholders is not valid JSON.
        let comma = if environment.is_empty() { "" } else { "," };
        let _ = write!(
            environment,
            r#"{comma}{{"name":{},"value":{}}}"#,
            json!(name),
            template(text)
        );
    }

    format!(
        r#"{{"containerOverrides":[{{"name":{},"environment":[{environment}]}}]}}"#,
        json!(container)
    )
}

/// Returns the variables alone as an input template, for the body of an SQS message.
pub(crate) fn message_template(variables: &[Variable]) -> String {
    let pairs = variables
        .iter()
        .map(|Variable { name, text }| format!("{}:{}", json!(name), template(text)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// Returns a value of the template: the quoted text, with `<field>` for `{field}`.
fn template(text: &str) -> String {
    let mut quoted = json!(text).to_string();
    for (field, ..) in FIELDS {
        quoted = quoted.replace(&format!("{{{field}}}"), &format!("<{field}>"));
    }

    // A lone field goes without quotes: EventBridge then writes it as a JSON string and escapes it.
    // `size` stays quoted, because it is a number in the event and variables are strings.
    let lone_field = FIELDS
        .iter()
        .find(|(field, ..)| quoted == format!("\"<{field}>\""));
    match lone_field {
        Some((field, ..)) if *field != "size" => format!("<{field}>"),
        _ => quoted,
    }
}

/// Returns the greatest length of the overrides in characters.
pub(crate) fn max_overrides_chars(container: &str, variables: &[Variable]) -> usize {
    let template = overrides_template(container, variables);
    let mut length = template.chars().count();
    for (field, _, max_chars) in FIELDS {
        length += template.matches(&format!("<{field}>")).count() * max_chars;
    }
    length
}

/// Returns the pattern of failed tasks: the app exited with another code than 0, or the task did not start.
pub(crate) fn failures(family: &str, app: &str, cluster: &Value) -> Value {
    // Both tests apply to the same container: the exit code of a sidecar is no failure of the task.
    let failed = json!({ "containers": { "name": [app], "exitCode": [{ "anything-but": [0] }] } });
    json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {
            "clusterArn": [cluster],
            "group": [format!("family:{family}")],
            "lastStatus": ["STOPPED"],
            "$or": [failed, { "stopCode": ["TaskFailedToStart"] }],
        },
    })
}
