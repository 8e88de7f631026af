use diagnostics::{Edit, Severity};
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T03",
    name: "no-essential-container",
    severity: Severity::Error,
    title: "no container is essential",
    explanation: "A task runs as long as its essential containers run, so at least one container \
                  must be essential. A container without the field is essential.",
    source: "ECS API, ContainerDefinition, field essential; cfn-lint E3042",
    hint: "Make the app essential.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "logger", "image": "logger:1", "essential": false, "memory": 128 }
  ]
}"#,
    // The only container is not essential.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "essential": false, "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let containers = &located.definition.container_definitions;
    // An empty list is T02's.
    if containers.is_empty() || containers.iter().any(ContainerDefinition::is_essential) {
        return;
    }

    let hint = format!(
        "remove \"essential\": false from `{}`, or from the app",
        containers[0].name
    );
    let message = "no container is essential, so the task cannot run";
    let pointer = "/containerDefinitions/0/essential";

    report.add(pointer, message, hint);
    // With several containers, which one is essential is the user's decision.
    if containers.len() == 1 {
        report.fix(
            "make the only container essential",
            vec![Edit::Remove(pointer.to_owned())],
        );
    }
}
