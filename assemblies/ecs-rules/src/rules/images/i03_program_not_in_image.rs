use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I03",
    name: "program-not-in-image",
    severity: Severity::Error,
    title: "image does not contain the program to run",
    explanation: "The first word of entry point and command is the program. A word with a slash is a path, any \
                  other is looked up in the folders of PATH. If the image has no such file the \
                  container does not start, and the task stops with CannotStartContainerError. A \
                  program in a mounted volume is not reported.",
    source: "ECS developer guide, stopped task error messages; OCI image specification, config.md",
    hint: "Correct the path, or add the program to the image.",
    images: r#"{ "app:1": { "entryPoint": ["/app"], "files": { "programs": ["/app"] } } }"#,
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "command": ["serve"], "memory": 128 }]
}"#,
    // The program is `/app`.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "entryPoint": ["/bin/app"], "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    for (pointer, container) in containers(located) {
        let Some(image) = images.find_inspected(container) else {
            continue;
        };
        let words = image.command_line(container);
        let Some(program) = words.first() else {
            continue;
        };
        // What a volume contains is unknown.
        let is_mounted =
            (container.mount_points.iter()).any(|mount| program.starts_with(&mount.container_path));
        let is_inherited = !container.volumes_from.is_empty();
        if is_mounted || is_inherited || image.has_program(container, program) {
            continue;
        }

        let message = format!(
            "`{}` runs `{program}`, which its image does not contain as an executable file",
            container.name
        );
        let field = if !container.entry_point.is_empty() {
            "entryPoint"
        } else if image.entry_point.is_empty() && !container.command.is_empty() {
            "command"
        } else {
            "image"
        };
        let hint = "correct the path, or add the program to the image";
        report.add(format!("{pointer}/{field}"), message, hint);
    }
}
