use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I02",
    name: "nothing-to-run",
    severity: Severity::Error,
    title: "neither the image nor the definition has a command",
    explanation: "A container runs the entry point and the command of its image, or those of the definition. If \
                  both are empty the container is never created, and the task stops with \
                  CannotCreateContainerError: no command specified.",
    source: "ECS API, ContainerDefinition, fields entryPoint and command; OCI image specification, config.md",
    hint: "Set `command` or `entryPoint`.",
    images: r#"{ "base:1": { "user": "" } }"#,
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "base:1", "command": ["/app"], "memory": 128 }]
}"#,
    // A base image has no command.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "base:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    for (pointer, container) in containers(located) {
        let image = images.find_inspected(container);
        if image.is_some_and(|image| image.command_line(container).is_empty()) {
            let message = format!("`{}` and its image have no command", container.name);
            let hint = "set `command` or `entryPoint`, or use an image that has one";
            report.add(format!("{pointer}/image"), message, hint);
        }
    }
}
