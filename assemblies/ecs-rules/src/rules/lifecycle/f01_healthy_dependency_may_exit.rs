use diagnostics::Severity;
use task_definition::{Condition, LocatedDefinition};

use crate::rules::shared::{container, edges};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F01",
    name: "healthy-dependency-may-exit",
    severity: Severity::Warning,
    title: "HEALTHY dependency may exit before it is healthy",
    explanation: "A HEALTHY dependency is resolved when the health check passes or startTimeout \
                  expires. For a non-essential container that exits first, neither happens: the \
                  agent does not apply the timeout to stopped containers, and the dependent \
                  container stays in PENDING forever. An essential container would have stopped the \
                  task.",
    source: "Amazon ECS agent, dependency graph (hasDependencyTimedOut skips stopped \
                  containers); aws/containers-roadmap#2379",
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
    // cache is not essential and has no restart policy.
    failing: Failing::Change(
        r#""image": "cache:1""#,
        r#""image": "cache:1",
      "essential": false"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| edge.condition == Condition::Healthy) {
        let Some((_, target)) = container(located, edge.target) else {
            continue;
        };
        let policy = target.restart_policy.as_ref();

        // A restart policy gives the container another chance to become healthy.
        if !target.is_essential() && !policy.is_some_and(|policy| policy.enabled) {
            let message = format!(
                "if `{}` exits before it is healthy, `{}` waits forever, regardless of startTimeout",
                target.name, edge.from.name
            );
            let hint = format!("make `{}` essential, or wait for START", target.name);
            report.add(format!("{}/condition", edge.pointer), message, hint);
        }
    }
}
