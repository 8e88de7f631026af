use diagnostics::Severity;
use diagnostics::source::SYNTAX;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: SYNTAX.id,
    name: "syntax",
    severity: Severity::Error,
    title: "syntax error",
    explanation: "The usual causes are quotes, brackets, commas and indentation, at the caret or \
                  just before it. YAML does not allow tabs for indentation. A file contains one \
                  document.",
    source: SYNTAX.source,
    hint: "Correct the syntax at the caret.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // The comma after the family is missing.
    failing: Failing::Document(
        r#"{
  "family": "web"
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Parser,
    // Without a readable document no other rule can be checked.
    suppressible: false,
    ..Rule::DEFAULT
};
