use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{container, containers, has_placeholder_names};
use crate::rules::{Check, Report, Rule};
use crate::spelling::nearest;

pub(super) const RULE: Rule = Rule {
    id: "V03",
    name: "unknown-volumes-from",
    severity: Severity::Error,
    title: "volumesFrom names an unknown container",
    explanation: "volumesFrom names another container, whose mounts are taken over.",
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
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "volumesFrom": [{ "sourceContainer": "date" }],
      "memory": 128
    },
    { "name": "data", "image": "data:1", "memory": 128 }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if has_placeholder_names(located) {
        return;
    }
    for (pointer, one) in containers(located) {
        for (index, from) in one.volumes_from.iter().enumerate() {
            let name = &from.source_container;
            if container(located, name).is_some() {
                continue;
            }

            let meant = nearest(name, containers(located).map(|(_, one)| one.name.as_str()));
            let hint = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name a container of the task".to_owned(),
            };

            let message = format!(
                "`{}` takes mounts from `{name}`, which does not exist",
                one.name
            );
            let pointer = format!("{pointer}/volumesFrom/{index}/sourceContainer");

            report.add(pointer.clone(), message, hint);
            report.fix_value(pointer, meant.filter(|meant| *meant != one.name));
        }
    }
}
