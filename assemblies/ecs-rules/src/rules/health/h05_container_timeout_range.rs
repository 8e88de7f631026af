use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H05",
    name: "container-timeout-range",
    severity: Severity::Error,
    title: "stopTimeout or startTimeout is out of range",
    explanation: "On Fargate both values are 2 to 120 seconds. stopTimeout is 30 by default, and \
                  Fargate waits at most 120 seconds.",
    source: "ECS API, ContainerDefinition, fields startTimeout and stopTimeout",
    hint: "Use 2 to 120.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "stopTimeout": 60 }]
}"#,
    // Fargate waits at most 120 s.
    failing: Failing::Change(r#""stopTimeout": 60"#, r#""stopTimeout": 300"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !located.definition.is_fargate() {
        return;
    }
    for (pointer, container) in containers(located) {
        for (field, seconds) in [
            ("startTimeout", container.start_timeout),
            ("stopTimeout", container.stop_timeout),
        ] {
            if let Some(seconds) = seconds.filter(|seconds| !(2..=120).contains(seconds)) {
                let message = format!(
                    "{field} of `{}` is {seconds} s; Fargate allows 2 to 120",
                    container.name
                );
                let pointer = format!("{pointer}/{field}");

                report.add(pointer.clone(), message, "write 2 to 120");
                // The nearest valid value keeps the intention as far as possible.
                let near = seconds.clamp(2, 120);
                report.fix(
                    format!("write {near}"),
                    vec![Edit::Set(pointer, json!(near))],
                );
            }
        }
    }
}
