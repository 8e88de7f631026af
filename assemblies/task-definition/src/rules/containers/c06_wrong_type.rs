use crate::finding::Severity;
use crate::rules::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C06",
    name: "wrong-type",
    severity: Severity::Error,
    title: "wrong value type",
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
    check: Check::Parser,
};
