use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C09",
    name: "plaintext-secret",
    severity: Severity::Warning,
    title: "credential in plain text",
    explanation: "DescribeTaskDefinition returns all environment variables, and old revisions are \
                  kept. ECS advises against credentials in environment; secrets exists for them.",
    source: "ECS API, ContainerDefinition, field environment",
    hint: "Move it to secrets.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "DATABASE_HOST", "value": "db.internal" }],
      "memory": 128
    }
  ]
}"#,
    // The name ends in PASSWORD.
    failing: Failing::Change(
        r#""name": "DATABASE_HOST", "value": "db.internal""#,
        r#""name": "DATABASE_PASSWORD", "value": "hunter2""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        for (index, variable) in container.environment.iter().enumerate() {
            if is_secret(&variable.name) && can_be_secret(&variable.value) {
                let pointer = format!("{pointer}/environment/{index}/value");
                let message = format!("`{}` looks like a secret in plain text", variable.name);
                report.add(
                    pointer,
                    message,
                    "move it to secrets, with valueFrom a secret's ARN",
                );
            }
        }
    }
}

/// Returns whether a name ends in a word for a secret. `TOKEN_URL` and `PASSWORD_FILE` do not.
fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Returns whether the value can be a secret, rather than the location of one or a switch.
fn can_be_secret(value: &str) -> bool {
    let is_location = value.starts_with('/') || value.starts_with("arn:") || value.contains("://");
    // `DISABLE_TOKEN=true` or `MAX_TOKEN=100` is not a credential.
    let is_switch = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
    !value.is_empty() && !is_location && !is_switch
}

const ENDINGS: [&str; 9] = [
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "APIKEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "LICENSE_KEY",
];
