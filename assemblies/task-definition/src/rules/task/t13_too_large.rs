use serde::Serialize;

use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::{Check, Report, Rule};
use crate::task::TaskDefinition;

pub(super) const RULE: Rule = Rule {
    id: "T13",
    name: "too-large",
    severity: Severity::Error,
    title: "task definition exceeds 64 KiB",
    explanation: "ECS refuses a definition of more than 64 KiB and says how long it is, but not \
                  which part made it so. Environment variables usually did. Which serialisation \
                  ECS measures is not documented, so from nine tenths there is a warning.",
    source: "the answer of ECS: \"Max allowed length is '65536' bytes.\"",
    hint: "Move big values into environmentFiles, secrets, or the image.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"# YAML aliases stand for the same words again and again: 68 KB when written out.
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
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let bytes = length(&located.definition);
    let message = format!("the definition has {bytes} of {MOST} bytes");
    if bytes > MOST {
        report.add("", message, biggest(&located.definition));
    } else if bytes > MOST / 10 * 9 {
        report.warn("", message, biggest(&located.definition));
    }
}

const MOST: usize = 65_536;

fn length(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn biggest(definition: &TaskDefinition) -> String {
    let parts = definition.container_definitions.iter().flat_map(|one| {
        [
            ("environment", length(&one.environment)),
            ("command", length(&one.command) + length(&one.entry_point)),
            ("log configuration", length(&one.log_configuration)),
            ("labels", length(&one.docker_labels)),
        ]
        .map(|(part, bytes)| (bytes, part, &one.name))
    });

    match parts.max_by_key(|(bytes, ..)| *bytes) {
        Some((bytes, part, name)) => format!(
            "shorten the {part} of `{name}` ({bytes} bytes); environmentFiles, secrets or the image can hold it"
        ),
        None => "shorten it".to_owned(),
    }
}
