use super::{Report, Rule};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "C06",
    severity: Severity::Error,
    title: "every value has the type that ECS expects",
    explanation: "cpu and memory are text for the task and numbers for a container. Environment \
                  values are text, even when they look like numbers. A value of another type is \
                  refused.",
    source: "ECS API, RegisterTaskDefinition",
    hint: "Write the value as the message says.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "PORT", "value": "8080" }],
      "memory": 128
    }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "PORT", "value": 8080 }],
      "memory": 128
    }
  ]
}"#,
    check,
};

/// `read` looks for it, before there is a definition that could be checked.
fn check(_: &Located, _: &mut Report) {}
