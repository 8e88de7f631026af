use serde_json::Value;

use super::{Report, Rule};
use crate::finding::Severity;
use crate::place::escape;
use crate::placeholder::placeholder;
use crate::read::Located;

pub(crate) const RULE: Rule = Rule {
    id: "Y03",
    severity: Severity::Warning,
    title: "no value is left to be filled in",
    explanation: "Templates have values such as <role_arn>, {{image}}, ${Region}, YOUR_ACCOUNT or \
                  XXXX that a person or a program fills in later. ECS would refuse them, or take \
                  them at their word. Whatever other rules have to say about the form of such a \
                  value is left out until it is filled in. Commands, variables and other free \
                  text are not looked at.",
    source: "nobody's rule: a value of this form is one that was not meant to be registered",
    hint: "Fill in the value.",
    passing: r#"{
  "family": "web",
  "taskRoleArn": "arn:aws:iam::111122223333:role/web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "taskRoleArn": "arn:aws:iam::<account>:role/web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    check,
};

fn check(located: &Located, report: &mut Report) {
    let open = open(located);
    for (index, (pointer, found)) in open.iter().enumerate() {
        let same = |(_, other): &&(String, String)| other == found;
        // What comes again is filled in again: once is enough to be told.
        if open[..index].iter().any(|one| same(&one)) {
            continue;
        }

        let message = match open[index + 1..].iter().filter(same).count() {
            0 => message(found),
            1 => format!("`{found}` is a placeholder, here and in another place: fill it in"),
            more => {
                format!("`{found}` is a placeholder, here and in {more} other places: fill it in")
            }
        };
        report.add(pointer, message, HINT);
    }
}

/// What is said of a placeholder.
pub(crate) fn message(placeholder: &str) -> String {
    format!("`{placeholder}` is a placeholder: fill it in")
}

pub(crate) const HINT: &str =
    "write the value that belongs there, or let your tool write it before";

/// The values that are left to be filled in: their pointers, and what stands there.
pub(super) fn open(located: &Located) -> Vec<(String, String)> {
    let mut all = Vec::new();
    if let Ok(value) = serde_json::to_value(&located.definition) {
        walk(&value, &mut String::new(), &mut all);
    }
    all
}

fn walk(value: &Value, pointer: &mut String, all: &mut Vec<(String, String)>) {
    let members: Vec<(String, &Value)> = match value {
        Value::String(text) => {
            if let Some(found) = placeholder(text) {
                all.push((pointer.clone(), found.to_owned()));
            }
            return;
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.map(|(index, one)| (index.to_string(), one)).collect()
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| has_form(key, value));
            members.map(|(key, one)| (escape(key), one)).collect()
        }
        _ => return,
    };

    let length = pointer.len();
    for (step, one) in members {
        pointer.push('/');
        pointer.push_str(&step);
        walk(one, pointer, all);
        pointer.truncate(length);
    }
}

/// Whether the member of a map has a form, and is no free text.
fn has_form(key: &str, around: &Value) -> bool {
    match key {
        // Drivers and routers fill in values of their own.
        "options" => around.get("logDriver").and_then(Value::as_str) == Some("awslogs"),
        // The name of a variable may well be called `MY_ACCOUNT_ID`.
        "name" => around.get("valueFrom").is_none(),
        _ => !FREE.contains(&key),
    }
}

const FREE: [&str; 16] = [
    "attestationPolicy",
    "awslogs-datetime-format",
    "awslogs-multiline-pattern",
    "awslogs-stream-prefix",
    "command",
    "dockerLabels",
    "dockerSecurityOptions",
    "driverOpts",
    "entryPoint",
    "environment",
    "expression",
    "labels",
    "properties",
    "systemControls",
    "tag",
    "tags",
];
