use diagnostics::placeholder::{self, PLACEHOLDER};
use diagnostics::{Severity, escape};
use serde_json::Value;
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::{Check, Failing, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    id: PLACEHOLDER.id,
    name: "placeholder",
    severity: Severity::Warning,
    title: "unfilled placeholder",
    explanation: "Templates contain values such as <role_arn>, {{image}}, ${Region}, YOUR_ACCOUNT or \
                  XXXX that are filled in later. ECS rejects them or uses them literally. Other \
                  rules do not check the format of such a value until it is filled in. Commands, \
                  variables and other free text are not checked.",
    source: PLACEHOLDER.source,
    hint: "Fill in the value.",
    passing: r#"{
  "family": "web",
  "taskRoleArn": "arn:aws:iam::111122223333:role/web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // <account> is not filled in.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "taskRoleArn": "arn:aws:iam::<account>:role/web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let placeholders = find_all(located);
    for (index, (pointer, found)) in placeholders.iter().enumerate() {
        let same = |(_, other): &&(String, String)| other == found;
        // A repeated placeholder is reported once, with the number of repetitions.
        if placeholders[..index].iter().any(|earlier| same(&earlier)) {
            continue;
        }

        let message = match placeholders[index + 1..].iter().filter(same).count() {
            0 => placeholder::message(found),
            1 => format!("`{found}` is a placeholder, here and in another place: fill it in"),
            more => {
                format!("`{found}` is a placeholder, here and in {more} other places: fill it in")
            }
        };
        report.add(pointer, message, placeholder::HINT);
    }
}

/// Returns the pointers and placeholders of all values that contain one.
pub(crate) fn find_all(located: &LocatedDefinition) -> Vec<(String, String)> {
    let mut all = Vec::new();
    if let Ok(value) = serde_json::to_value(&located.definition) {
        walk(&value, &mut String::new(), &mut all);
    }
    all
}

fn walk(value: &Value, pointer: &mut String, all: &mut Vec<(String, String)>) {
    let members: Vec<(String, &Value)> = match value {
        Value::String(text) => {
            if let Some(found) = find_placeholder(text) {
                all.push((pointer.clone(), found.to_owned()));
            }
            return;
        }
        Value::Array(items) => {
            let each = items.iter().enumerate();
            each.map(|(index, item)| (index.to_string(), item))
                .collect()
        }
        Value::Object(members) => {
            let members = members.iter().filter(|(key, _)| is_structured(key, value));
            members.map(|(key, member)| (escape(key), member)).collect()
        }
        _ => return,
    };

    let length = pointer.len();
    for (step, member) in members {
        pointer.push('/');
        pointer.push_str(&step);
        walk(member, pointer, all);
        pointer.truncate(length);
    }
}

/// Returns whether the member of a map has a format, and is not free text.
fn is_structured(key: &str, enclosing: &Value) -> bool {
    match key {
        // Log routers and other drivers substitute variables at run time.
        "options" => enclosing.get("logDriver").and_then(Value::as_str) == Some("awslogs"),
        // An environment variable may be named `MY_ACCOUNT_ID`.
        "name" => enclosing.get("valueFrom").is_none(),
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
