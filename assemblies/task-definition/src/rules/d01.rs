use super::{Report, Rule, container, containers, edges, has_open_names};
use crate::finding::Severity;
use crate::read::Located;
use crate::spelling::nearest;

pub(super) const RULE: Rule = Rule {
    id: "D01",
    severity: Severity::Error,
    title: "a dependency is a container of the task",
    explanation: "ECS answers \"Cannot depend on container + 'X' because it does not exist\".",
    source: "the answer of ECS; ECS API, ContainerDependency",
    hint: "Correct the name.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "cache", "condition": "START" }],
      "memory": 128
    },
    { "name": "cache", "image": "cache:1", "memory": 128 }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "cahce", "condition": "START" }],
      "memory": 128
    },
    { "name": "cache", "image": "cache:1", "memory": 128 }
  ]
}"#,
    check,
};

fn check(located: &Located, report: &mut Report) {
    if has_open_names(located) {
        return;
    }

    let names = || containers(located).map(|(_, one)| one.name.as_str());
    for edge in edges(located).filter(|edge| container(located, edge.target).is_none()) {
        let meant = nearest(edge.target, names());
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("choose one of {}", names().collect::<Vec<_>>().join(", ")),
        };

        let message = format!(
            "`{}` depends on `{}`, which does not exist",
            edge.from.name, edge.target
        );
        let pointer = format!("{}/containerName", edge.pointer);

        report.add(pointer.clone(), message, hint);
        report.say(pointer, meant.filter(|meant| *meant != edge.from.name));
    }
}
