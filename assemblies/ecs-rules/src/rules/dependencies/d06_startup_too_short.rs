use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::{Condition, LocatedDefinition};

use crate::rules::shared::{container, edges};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D06",
    name: "startup-too-short",
    severity: Severity::Warning,
    title: "startTimeout is too short for the health check",
    explanation: "startTimeout is set on the awaited container and covers the whole wait. If it is \
                  shorter than startPeriod plus all retries, the task fails while the health check \
                  may still succeed.",
    source: "ECS API, ContainerDefinition, field startTimeout; HealthCheck",
    hint: "Raise startTimeout, or check more often.",
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
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10, "retries": 3 },
      "startTimeout": 60,
      "memory": 128
    }
  ]
}"#,
    // 3 retries at 25 s take 75 s, longer than startTimeout.
    failing: Failing::Change(r#""interval": 10"#, r#""interval": 25"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let mut reported: Vec<&str> = Vec::new();
    for edge in edges(located).filter(|edge| edge.condition == Condition::Healthy) {
        let Some((pointer, target)) = container(located, edge.target) else {
            continue;
        };
        let (Some(check), Some(limit)) = (&target.health_check, target.start_timeout) else {
            continue;
        };
        let (interval, retries) = (check.interval.unwrap_or(30), check.retries.unwrap_or(3));
        // Failures during startPeriod do not count, so the retries start after it.
        let needed = check
            .start_period
            .unwrap_or(0)
            .saturating_add(interval.saturating_mul(retries));

        if limit < needed && !reported.contains(&edge.target) {
            reported.push(edge.target);
            let message = format!(
                "startTimeout of `{}` is {limit} s, but its health check may take {needed} s",
                target.name
            );
            let hint = if needed <= 120 {
                format!("write \"startTimeout\": {needed}, or shorten the interval")
            } else {
                "shorten interval, retries or startPeriod; the maximum startTimeout is 120"
                    .to_owned()
            };

            let pointer = format!("{pointer}/startTimeout");
            report.add(pointer.clone(), message, hint);
            // A value out of range is H05's, which has its own fix.
            if needed <= 120 && (2..=120).contains(&limit) {
                report.fix(
                    format!("set startTimeout to {needed}"),
                    vec![Edit::Set(pointer, json!(needed))],
                );
            }
        }
    }
}
