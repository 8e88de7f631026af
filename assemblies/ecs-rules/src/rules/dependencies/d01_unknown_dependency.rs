use diagnostics::{Severity, nearest};
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, containers, edges, has_placeholder_names};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D01",
    name: "unknown-dependency",
    severity: Severity::Error,
    title: "dependsOn names an unknown container",
    explanation: "ECS rejects the definition with \"Cannot depend on container + 'X' because it does \
                  not exist\".",
    source: "ECS error message; ECS API, ContainerDependency",
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
    // Two letters of `cache` are swapped.
    failing: Failing::Change(r#""containerName": "cache""#, r#""containerName": "cahce""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // A placeholder may become the missing name.
    if has_placeholder_names(located) {
        return;
    }

    let names = || containers(located).map(|(_, container)| container.name.as_str());
    for edge in edges(located).filter(|edge| container(located, edge.target).is_none()) {
        let suggestion = nearest(edge.target, names());
        let hint = match suggestion {
            Some(suggestion) => format!("did you mean `{suggestion}`?"),
            None => format!("choose one of {}", names().collect::<Vec<_>>().join(", ")),
        };

        let message = format!(
            "`{}` depends on `{}`, which does not exist",
            edge.from.name, edge.target
        );
        let pointer = format!("{}/containerName", edge.pointer);

        report.add(pointer.clone(), message, hint);
        // A dependency on itself would be a cycle (D02).
        report.fix_value(
            pointer,
            suggestion.filter(|suggestion| *suggestion != edge.from.name),
        );
    }
}
