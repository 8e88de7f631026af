use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, is_name, sanitize_name};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C01",
    name: "invalid-container-name",
    severity: Severity::Error,
    title: "container name is missing or invalid",
    explanation: "Other containers, load balancers and log streams refer to a container by its name. \
                  ECS rejects any other character.",
    source: "ECS API, ContainerDefinition, field name",
    hint: "Use 1 to 255 letters, digits, - and _.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "my-app", "image": "app:1", "memory": 128 }]
}"#,
    // A dot is valid in Docker container names but not in ECS.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "my.app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let name = &container.name;
        // `read` accepts a missing name, so it is reported here with all other findings.
        if name.is_empty() {
            let hint = "add \"name\": \"app\"";
            report.add(format!("{pointer}/name"), "a container has no name", hint);
        } else if !is_name(name) {
            let hint = format!(
                "use letters, digits, - and _, at most 255; try `{}`",
                sanitize_name(name)
            );
            report.add(
                format!("{pointer}/name"),
                format!("`{name}` is not a valid container name"),
                hint,
            );
        }
    }
}
