use super::{Report, Rule};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "C05",
    severity: Severity::Error,
    title: "every field is one that ECS knows",
    explanation: "ECS refuses a definition with a field it does not know, and many tools drop \
                  the field without a word.",
    source: "ECS API, RegisterTaskDefinition; cfn-lint E3002",
    hint: "Correct the spelling, or remove the field.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128, "memry": 128 }]
}"#,
    check,
};

/// `read` looks for it, before there is a definition that could be checked.
fn check(_: &Located, _: &mut Report) {}
