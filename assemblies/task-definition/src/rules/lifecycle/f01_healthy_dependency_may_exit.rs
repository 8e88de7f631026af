use crate::container::Condition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{container, edges};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F01",
    name: "healthy-dependency-may-exit",
    severity: Severity::Warning,
    title: "HEALTHY dependency may exit before it is healthy",
    explanation: "A wait for HEALTHY ends when the health check passes or startTimeout is over. A \
                  container that is not essential and ends before its first success satisfies \
                  neither: it is not running, so the timeout is not looked at any more, and the one \
                  that waits hangs in PENDING for ever. An essential one would have ended the task.",
    source: "Amazon ECS agent, dependency graph (hasDependencyTimedOut skips what has stopped); \
                  aws/containers-roadmap#2379",
    hint: "Make the container essential, give it a restart policy, or wait for START.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "cache", "condition": "HEALTHY" }], "memory": 128 },
    {
      "name": "cache",
      "image": "cache:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10 },
      "startTimeout": 60,
      "memory": 128
    }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "cache", "condition": "HEALTHY" }], "memory": 128 },
    {
      "name": "cache",
      "image": "cache:1",
      "essential": false,
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10 },
      "startTimeout": 60,
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| edge.condition == Condition::Healthy) {
        let Some((_, target)) = container(located, edge.target) else {
            continue;
        };
        let policy = target.restart_policy.as_ref();

        if !target.is_essential() && !policy.is_some_and(|policy| policy.enabled) {
            let message = format!(
                "if `{}` ends before it is healthy, `{}` waits for ever, whatever startTimeout says",
                target.name, edge.from.name
            );
            let hint = format!("make `{}` essential, or wait for START", target.name);
            report.add(format!("{}/condition", edge.pointer), message, hint);
        }
    }
}
