use crate::finding::Severity;
use crate::rules::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Y02",
    name: "duplicate-key",
    severity: Severity::Error,
    title: "duplicate key",
    explanation: "For a duplicate key most programs silently keep the last value, and some the \
                  first.",
    source: "RFC 8259, section 4; YAML 1.2.2, section 3.2.1.3; cfn-lint E3002",
    hint: "Remove one, or merge the two values.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // family occurs twice.
    failing: r#"{
  "family": "web",
  "family": "shop",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    check: Check::Parser,
};
