use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C02",
    name: "duplicate-container-name",
    severity: Severity::Error,
    title: "container name used twice",
    explanation: "dependsOn, volumesFrom, load balancers and logs find a container by its name, \
                  so it must be one.",
    source: "ECS API, ContainerDefinition, field name (used as a key everywhere; the answer \
                  to a duplicate is not documented)",
    hint: "Rename one of them.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "one", "image": "app:1", "memory": 128 },
    { "name": "two", "image": "app:1", "memory": 128 }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "app", "image": "app:2", "memory": 128 }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let before = &located.definition.container_definitions;
        let twice = before.iter().position(|other| other.name == one.name);
        let first = twice.map(|index| format!("/containerDefinitions/{index}"));
        if first.is_some_and(|first| first != pointer) && !one.name.is_empty() {
            let message = format!("two containers are called `{}`", one.name);
            report.add(format!("{pointer}/name"), message, "rename one of them");
        }
    }
}
