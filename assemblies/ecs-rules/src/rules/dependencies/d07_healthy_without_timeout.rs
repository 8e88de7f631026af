use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::{Condition, LocatedDefinition};

use crate::rules::shared::{container, edges};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D07",
    name: "healthy-without-timeout",
    severity: Severity::Warning,
    title: "HEALTHY dependency has no startTimeout",
    explanation: "Without startTimeout, a container that never becomes healthy keeps the task in \
                  PENDING forever.",
    source: "ECS API, ContainerDefinition, field startTimeout; aws/containers-roadmap#2379",
    hint: "Set startTimeout on the awaited container.",
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
    // The health check without startTimeout may fail forever.
    failing: Failing::Document(
        r#"{
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
      "memory": 128
    }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| edge.condition == Condition::Healthy) {
        let Some((pointer, target)) = container(located, edge.target) else {
            continue;
        };
        // Without a health check the dependency is D03's.
        if target.start_timeout.is_none() && target.health_check.is_some() {
            let message = format!(
                "`{}` waits for `{}` without a limit: the task may hang in PENDING",
                edge.from.name, target.name
            );
            let hint = format!("add \"startTimeout\": 120 to `{}`", target.name);

            report.add(edge.pointer, message, hint.clone());
            let edits = vec![Edit::Set(format!("{pointer}/startTimeout"), json!(120))];
            report.fix(hint, edits);
        }
    }
}
