//! What starts a task: which events do, and what the task is told about them.
//!
//! S3 tells EventBridge of every new object, with the key as it is (S3's own notifications encode it). The rule's
//! pattern picks the events, its input transformer turns one into variables of the app's container.

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

/// The events that start a task, in EventBridge's form.
pub fn pattern(on_demand: &OnDemand) -> Value {
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

/// Two tests of one key would be one *or* the other, so both ends go into one wildcard.
fn key_pattern(on_demand: &OnDemand) -> Option<Value> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&on_demand.prefix), given(&on_demand.suffix)) {
        (None, None) => None,
        (Some(prefix), None) => Some(json!({ "prefix": prefix })),
        (None, Some(suffix)) => Some(json!({ "suffix": suffix })),
        (Some(prefix), Some(suffix)) => {
            let literal = |text: String| text.replace('\\', "\\\\").replace('*', "\\*");
            let wildcard = format!("{}*{}", literal(prefix), literal(suffix));
            Some(json!({ "wildcard": wildcard }))
        }
    }
}

/// A variable of the app's container that is filled from the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its text, with `{field}` for what the event says.
    pub text: String,
}

/// What an event can say: the name in `{…}`, the path in the event, and the most characters that come.
pub const FIELDS: [(&str, &str, usize); 6] = [
    ("bucket", "$.detail.bucket.name", 63),
    ("etag", "$.detail.object.etag", 64),
    ("event", "$.id", 36),
    ("key", "$.detail.object.key", 1024),
    ("sequencer", "$.detail.object.sequencer", 64),
    ("size", "$.detail.object.size", 20),
];

/// What an assembly can say.
pub const OUTPUT_BUCKET: &str = "output_bucket";

/// The variables of the app, as its component declares them; what the user set himself stays as it is.
pub(crate) fn variables(assembly: &ResolvedAssembly) -> Vec<Variable> {
    let app = assembly
        .members
        .iter()
        .find(|member| member.role == Role::App);
    let (Some(app), Some(on_demand)) = (app, &assembly.manifest.file().on_demand) else {
        return Vec::new();
    };
    let declared = &app.component.file().trigger;

    if declared.is_empty() {
        return GENERAL.map(|(name, text)| variable(name, text)).to_vec();
    }

    let output = on_demand.output_bucket.as_ref();
    let output = output.unwrap_or(&on_demand.bucket);
    let free = declared.iter().filter(|(setting, _)| is_free(app, setting));
    free.map(|(setting, text)| {
        let text = text.replace("{output_bucket}", output);
        variable(&app.component.variable(setting), &text)
    })
    .collect()
}

fn variable(name: &str, text: &str) -> Variable {
    let (name, text) = (name.to_owned(), text.to_owned());
    Variable { name, text }
}

fn is_free(app: &AssemblyMember, setting: &str) -> bool {
    !app.settings.contains_key(setting) && !app.secrets.contains_key(setting)
}

/// What an app is told that declares no `trigger`.
const GENERAL: [(&str, &str); 5] = [
    ("INPUT_BUCKET", "{bucket}"),
    ("INPUT_KEY", "{key}"),
    ("INPUT_ETAG", "{etag}"),
    ("INPUT_SEQUENCER", "{sequencer}"),
    ("EVENT_ID", "{event}"),
];

/// The fields that a text names, with those nobody knows.
pub(crate) fn fields(text: &str) -> Vec<&str> {
    let begun = text.split('{').skip(1);
    begun
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect()
}

/// The paths of the fields that variables name, as an input transformer wants them.
pub(crate) fn paths(variables: &[Variable]) -> BTreeMap<&'static str, &'static str> {
    let named: Vec<&str> = variables.iter().flat_map(|one| fields(&one.text)).collect();
    let used = FIELDS.iter().filter(|(field, ..)| named.contains(field));
    used.map(|(field, path, _)| (*field, *path)).collect()
}

/// The overrides of the app's container as an input template: JSON with `<field>` in it.
pub(crate) fn overrides_template(container: &str, variables: &[Variable]) -> String {
    let mut environment = String::new();
    for Variable { name, text } in variables {
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

/// The variables as an input template of their own, for the body of a message.
pub(crate) fn message_template(variables: &[Variable]) -> String {
    let pairs = variables
        .iter()
        .map(|Variable { name, text }| format!("{}:{}", json!(name), template(text)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// A text in quotes, with `<field>` for `{field}`. What is one field and nothing else goes without quotes:
/// EventBridge then writes a string of JSON, whatever is in it. A size is a number, and variables are text.
fn template(text: &str) -> String {
    let mut quoted = json!(text).to_string();
    for (field, ..) in FIELDS {
        quoted = quoted.replace(&format!("{{{field}}}"), &format!("<{field}>"));
    }

    let alone = FIELDS
        .iter()
        .find(|(field, ..)| quoted == format!("\"<{field}>\""));
    match alone {
        Some((field, ..)) if *field != "size" => format!("<{field}>"),
        _ => quoted,
    }
}

/// The most characters that the overrides can have.
pub(crate) fn longest(container: &str, variables: &[Variable]) -> usize {
    let template = overrides_template(container, variables);
    let mut length = template.chars().count();
    for (field, _, most) in FIELDS {
        length += template.matches(&format!("<{field}>")).count() * most;
    }
    length
}

/// Tasks of the assembly that ended without having done their work: the app left with another code than 0, or
/// nothing ever started.
pub(crate) fn failures(family: &str, app: &str, cluster: &Value) -> Value {
    // Both tests of a container are about the same one: a sidecar's end is nobody's failure.
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
