use diagnostics::{Severity, nearest};
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, containers, has_placeholder_names};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V03",
    name: "unknown-volumes-from",
    severity: Severity::Error,
    title: "volumesFrom names an unknown container",
    explanation: "volumesFrom names another container whose mount points are mounted as well.",
    source: "ECS API, VolumeFrom",
    hint: "Correct the name.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "volumesFrom": [{ "sourceContainer": "data" }],
      "memory": 128
    },
    { "name": "data", "image": "data:1", "memory": 128 }
  ]
}"#,
    // `date` in place of `data`.
    failing: Failing::Change(
        r#""volumesFrom": [{ "sourceContainer": "data" }]"#,
        r#""volumesFrom": [{ "sourceContainer": "date" }]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // A placeholder may become the missing name.
    if has_placeholder_names(located) {
        return;
    }
    for (pointer, mounting) in containers(located) {
        for (index, from) in mounting.volumes_from.iter().enumerate() {
            let name = &from.source_container;
            if container(located, name).is_some() {
                continue;
            }

            let suggestion = nearest(
                name,
                containers(located).map(|(_, other)| other.name.as_str()),
            );
            let hint = match suggestion {
                Some(suggestion) => format!("did you mean `{suggestion}`?"),
                None => "name a container of the task".to_owned(),
            };

            let message = format!(
                "`{}` mounts the volumes of `{name}`, which does not exist",
                mounting.name
            );
            let pointer = format!("{pointer}/volumesFrom/{index}/sourceContainer");

            report.add(pointer.clone(), message, hint);
            // A container cannot mount its own volumes.
            report.fix_value(
                pointer,
                suggestion.filter(|suggestion| *suggestion != mounting.name),
            );
        }
    }
}
