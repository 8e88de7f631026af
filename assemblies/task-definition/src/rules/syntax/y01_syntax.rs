use crate::finding::Severity;
use crate::rules::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Y01",
    name: "syntax",
    severity: Severity::Error,
    title: "syntax error",
    explanation: "Quotes, brackets, commas and indentation are what usually is wrong, just where \
                  the caret stands or before it. YAML refuses tabs as indentation. A file holds \
                  one document.",
    source: "YAML 1.2.2; RFC 8259",
    hint: "Correct the syntax where the caret stands.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web"
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    check: Check::Parser,
};
