use diagnostics::Severity;
use task_definition::UNKNOWN_FIELD;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: UNKNOWN_FIELD.id,
    name: "unknown-field",
    severity: Severity::Error,
    title: "unknown field",
    explanation: "ECS rejects a definition with an unknown field, and many tools drop the field \
                  silently.",
    source: UNKNOWN_FIELD.source,
    hint: "Correct the spelling, or remove the field.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // The correct field is present as well, so that R07 is satisfied.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128, "memry": 128 }]
}"#,
    ),
    check: Check::Parser,
    ..Rule::DEFAULT
};
