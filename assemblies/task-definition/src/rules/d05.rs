use super::{Report, Rule};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "D05",
    severity: Severity::Error,
    title: "a condition is START, COMPLETE, SUCCESS or HEALTHY",
    explanation: "The four words are written in capitals.",
    source: "ECS API, ContainerDependency, field condition; cfn-lint E3030",
    hint: "Write one of the four words in capitals.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "cache", "condition": "START" }],
      "memory": 128
    },
    { "name": "cache", "image": "cache:1", "memory": 128 }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "cache", "condition": "start" }],
      "memory": 128
    },
    { "name": "cache", "image": "cache:1", "memory": 128 }
  ]
}"#,
    check,
};

/// `read` looks for it, before there is a definition that could be checked.
fn check(_: &Located, _: &mut Report) {}
