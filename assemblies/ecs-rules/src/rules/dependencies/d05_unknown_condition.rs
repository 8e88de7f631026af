use diagnostics::Severity;
use task_definition::UNKNOWN_CONDITION;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: UNKNOWN_CONDITION.id,
    name: "unknown-condition",
    severity: Severity::Error,
    title: "unknown dependency condition",
    explanation: "The condition is START, COMPLETE, SUCCESS or HEALTHY, in upper case.",
    source: UNKNOWN_CONDITION.source,
    hint: "Use one of the four values in upper case.",
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
    // The condition is in lower case.
    failing: Failing::Change(r#""condition": "START""#, r#""condition": "start""#),
    check: Check::Parser,
    // Without a value of the right type there is no definition to check or register.
    suppressible: false,
    ..Rule::DEFAULT
};
