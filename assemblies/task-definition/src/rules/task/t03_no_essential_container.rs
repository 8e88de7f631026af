use crate::container::ContainerDefinition;
use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T03",
    name: "no-essential-container",
    severity: Severity::Error,
    title: "no container is essential",
    explanation: "A task runs as long as its essential containers do. With none, ECS could never \
                  tell whether the task is running. A container of which nothing is said is \
                  essential.",
    source: "ECS API, ContainerDefinition, field essential; cfn-lint E3042",
    hint: "Make the app essential.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "logger", "image": "logger:1", "essential": false, "memory": 128 }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "essential": false, "memory": 128 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let containers = &located.definition.container_definitions;
    if containers.is_empty() || containers.iter().any(ContainerDefinition::is_essential) {
        return;
    }

    let hint = format!(
        "remove \"essential\": false from `{}`, or from the app",
        containers[0].name
    );
    let message = "no container is essential: the task could never count as running";
    let pointer = "/containerDefinitions/0/essential";

    report.add(pointer, message, hint);
    if containers.len() == 1 {
        report.fix(
            "let the only container be essential",
            vec![Edit::Remove(pointer.to_owned())],
        );
    }
}
