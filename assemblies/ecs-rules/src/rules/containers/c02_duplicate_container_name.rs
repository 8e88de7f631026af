use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C02",
    name: "duplicate-container-name",
    severity: Severity::Error,
    title: "container name used twice",
    explanation: "dependsOn, volumesFrom, load balancers and log streams refer to a container by its \
                  name, so the name must be unique.",
    source: "ECS API, ContainerDefinition, field name (a key in many fields; the error for a \
                  duplicate is not documented)",
    hint: "Rename one of them.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "one", "image": "app:1", "memory": 128 },
    { "name": "two", "image": "app:1", "memory": 128 }
  ]
}"#,
    // Different images do not make the names distinct.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "app", "image": "app:2", "memory": 128 }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let all = &located.definition.container_definitions;
        let position = all.iter().position(|other| other.name == container.name);
        let first = position.map(|index| format!("/containerDefinitions/{index}"));
        // Missing names are C01's.
        if first.is_some_and(|first| first != pointer) && !container.name.is_empty() {
            let message = format!("two containers are named `{}`", container.name);
            report.add(format!("{pointer}/name"), message, "rename one of them");
        }
    }
}
