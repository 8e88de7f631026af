use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{is_name, sanitize_name};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V01",
    name: "invalid-volume-name",
    severity: Severity::Error,
    title: "volume name is invalid or not unique",
    explanation: "Mount points refer to a volume by its name, which is unique in the task.",
    source: "ECS API, Volume, field name; cfn-lint E3037",
    hint: "Rename it.",
    passing: r#"{
  "family": "web",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/data" }],
      "memory": 128
    }
  ]
}"#,
    // Two volumes have the same name.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "volumes": [{ "name": "scratch" }, { "name": "scratch" }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/data" }],
      "memory": 128
    }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let volumes = &located.definition.volumes;
    for (index, volume) in volumes.iter().enumerate() {
        let pointer = format!("/volumes/{index}/name");
        let name = &volume.name;
        if !is_name(name) {
            let hint = format!(
                "use letters, digits, - and _, at most 255; try `{}`",
                sanitize_name(name)
            );
            report.add(
                pointer,
                format!("`{name}` is not a valid volume name"),
                hint,
            );
        // The second of two equal names is reported.
        } else if volumes[..index].iter().any(|other| other.name == *name) {
            report.add(
                pointer,
                format!("two volumes are named `{name}`"),
                "rename one of them",
            );
        }
    }
}
