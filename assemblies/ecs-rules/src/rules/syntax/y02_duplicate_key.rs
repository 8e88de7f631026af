use diagnostics::Severity;
use diagnostics::source::DUPLICATE_KEY;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: DUPLICATE_KEY.id,
    name: "duplicate-key",
    severity: Severity::Error,
    title: "duplicate key",
    explanation: "For a duplicate key most programs silently keep the last value, and some the \
                  first.",
    source: DUPLICATE_KEY.source,
    hint: "Remove one, or merge the two values.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // family occurs twice.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "family": "shop",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Parser,
    // Without a readable document no other rule can be checked.
    suppressible: false,
    ..Rule::DEFAULT
};
