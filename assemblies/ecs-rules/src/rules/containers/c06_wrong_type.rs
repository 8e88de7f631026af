use diagnostics::Severity;
use task_definition::WRONG_TYPE;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: WRONG_TYPE.id,
    name: "wrong-type",
    severity: Severity::Error,
    title: "wrong value type",
    explanation: "cpu and memory are strings in the task and numbers in a container. Environment \
                  values are strings, even if they look like numbers. ECS rejects a value of another \
                  type.",
    source: WRONG_TYPE.source,
    hint: "Use the type that the message names.",
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
    // The value of PORT is a number.
    failing: Failing::Change(r#""value": "8080""#, r#""value": 8080"#),
    check: Check::Parser,
    // Without a value of the right type there is no definition to check or register.
    suppressible: false,
    ..Rule::DEFAULT
};
