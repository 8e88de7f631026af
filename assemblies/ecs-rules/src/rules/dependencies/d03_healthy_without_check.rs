use diagnostics::Severity;
use task_definition::{Condition, LocatedDefinition};

use crate::rules::shared::{container, edges};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D03",
    name: "healthy-without-check",
    severity: Severity::Error,
    title: "HEALTHY dependency has no healthCheck",
    explanation: "ECS uses healthCheck of the definition only and ignores HEALTHCHECK of the image. \
                  Without healthCheck the container never becomes healthy and the task never starts.",
    source: "ECS API, ContainerDependency, condition HEALTHY; developer guide, health checks",
    hint: "Add healthCheck, or wait for START.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "cache", "condition": "HEALTHY" }],
      "memory": 128
    },
    {
      "name": "cache",
      "image": "cache:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10 },
      "startTimeout": 120,
      "memory": 128
    }
  ]
}"#,
    // startTimeout is set, so that D07 finds nothing.
    failing: Failing::Change(
        r#"{
      "name": "cache",
      "image": "cache:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10 },
      "startTimeout": 120,
      "memory": 128
    }"#,
        r#"{ "name": "cache", "image": "cache:1", "startTimeout": 120, "memory": 128 }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| edge.condition == Condition::Healthy) {
        let Some((_, target)) = container(located, edge.target) else {
            continue;
        };
        // An unknown container is D01's.
        if target.health_check.is_none() {
            let message = format!(
                "`{}` waits for `{}` to be healthy, which has no healthCheck",
                edge.from.name, target.name
            );
            let hint = format!("add a healthCheck to `{}`, or wait for START", target.name);
            report.add(format!("{}/condition", edge.pointer), message, hint);
        }
    }
}
