use diagnostics::Severity;
use serde::Serialize;
use task_definition::{LocatedDefinition, TaskDefinition};

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T13",
    name: "too-large",
    severity: Severity::Error,
    title: "task definition exceeds 64 KiB",
    explanation: "ECS rejects a task definition larger than 64 KiB and reports its size, but not the \
                  part that is too large. Environment variables are the usual cause. Which \
                  serialization ECS measures is not documented, so 90 % of the limit is a warning.",
    source: "ECS error message: \"Max allowed length is '65536' bytes.\"",
    hint: "Move large values into environmentFiles, secrets, or the image.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // The YAML aliases expand to 68 KB.
    failing: Failing::Document(
        r#"# YAML aliases stand for the same words again and again: 68 KB when written out.
family: web
containerDefinitions:
  - name: one
    image: app:1
    memory: 128
    command: &words [&word "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
      *word, *word, *word, *word, *word, *word, *word, *word, *word]
    entryPoint: *words
  - { name: two, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: three, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: four, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: five, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: six, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: seven, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: eight, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: nine, image: "app:1", memory: 128, command: *words, entryPoint: *words }
  - { name: ten, image: "app:1", memory: 128, command: *words, entryPoint: *words }
"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let bytes = length(&located.definition);
    let message = format!("the definition has {bytes} of {MAX_BYTES} bytes");
    if bytes > MAX_BYTES {
        report.add("", message, suggest_part(&located.definition));
    // The compact serialization measured here may be shorter than the one ECS measures.
    } else if bytes > MAX_BYTES / 10 * 9 {
        report.warn("", message, suggest_part(&located.definition));
    }
}

const MAX_BYTES: usize = 65_536;

fn length(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn suggest_part(definition: &TaskDefinition) -> String {
    let parts = definition
        .container_definitions
        .iter()
        .flat_map(|container| {
            [
                ("environment", length(&container.environment)),
                (
                    "command",
                    length(&container.command) + length(&container.entry_point),
                ),
                ("log configuration", length(&container.log_configuration)),
                ("labels", length(&container.docker_labels)),
            ]
            .map(|(part, bytes)| (bytes, part, &container.name))
        });

    // Only the parts that grow with content are candidates.
    match parts.max_by_key(|(bytes, ..)| *bytes) {
        Some((bytes, part, name)) => format!(
            "shorten the {part} of `{name}` ({bytes} bytes), or move it into environmentFiles, secrets or the image"
        ),
        None => "shorten the definition".to_owned(),
    }
}
