use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{is_fragment, is_name, sanitize_name};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T01",
    name: "invalid-family",
    severity: Severity::Error,
    title: "family name is missing or invalid",
    explanation: "The family is the name under which ECS counts revisions, and under which \
                  services and policies refer to them. RegisterTaskDefinition refuses any other \
                  character.",
    source: "ECS API, RegisterTaskDefinition, field family",
    hint: "Use letters, digits, - and _ only, at most 255.",
    passing: r#"{
  "family": "my-app",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "my app",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let family = &located.definition.family;
    if is_fragment(located) {
        let message = "this is a part of a task definition: it has no family, and its containers \
                       have neither name nor image";
        report.add("/family", message, "check the whole definition");
    } else if family.is_empty() {
        report.add(
            "/family",
            "the task definition has no family",
            "add \"family\": \"my-app\"",
        );
    } else if !is_name(family) {
        let hint = format!(
            "use letters, digits, - and _, at most 255; try `{}`",
            sanitize_name(family)
        );
        report.add("/family", format!("`{family}` cannot be a family"), hint);
    }
}
