use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{is_fragment, is_name, sanitize_name};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T01",
    name: "invalid-family",
    severity: Severity::Error,
    title: "family name is missing or invalid",
    explanation: "The family is the name under which ECS numbers revisions and to which services and \
                  policies refer. RegisterTaskDefinition rejects any other character.",
    source: "ECS API, RegisterTaskDefinition, field family",
    hint: "Use 1 to 255 letters, digits, - and _.",
    passing: r#"{
  "family": "my-app",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // A space is not valid in a family.
    failing: Failing::Document(
        r#"{
  "family": "my app",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let family = &located.definition.family;
    // A fragment from an article would otherwise report every missing name.
    if is_fragment(located) {
        let message = "this is a fragment of a task definition: it has no family, and its containers \
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
        report.add("/family", format!("`{family}` is not a valid family"), hint);
    }
}
