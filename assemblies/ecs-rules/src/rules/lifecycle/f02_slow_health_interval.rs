use diagnostics::Severity;
use task_definition::{Condition, LocatedDefinition};

use crate::rules::shared::{container, containers, edges};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F02",
    name: "slow-health-interval",
    severity: Severity::Warning,
    title: "default health interval delays every start by 30 s",
    explanation: "The first health check runs one interval after the container starts, 30 seconds by \
                  default, and no container that waits for HEALTHY starts before. The intervals of a \
                  chain add up at every deployment and scale-out. A program that waits for its \
                  upstream itself only needs START.",
    source: "ECS API, HealthCheck, field interval; moby, health monitor (the first check runs \
                  after one interval)",
    hint: "Set the interval to 5 seconds and the timeout to 2, or wait for START.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "cache", "condition": "HEALTHY" }], "memory": 128 },
    {
      "name": "cache",
      "image": "cache:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 5, "timeout": 2 },
      "startTimeout": 60,
      "memory": 128
    }
  ]
}"#,
    // Without an interval the default of 30 s applies.
    failing: Failing::Change(
        r#""healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 5, "timeout": 2 },
      "startTimeout": 60"#,
        r#""healthCheck": { "command": ["CMD", "/app", "probe"] },
      "startTimeout": 120"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // The number of chains grows exponentially, and T02 rejects larger tasks anyway.
    if located.definition.container_definitions.len() > 10 {
        return;
    }

    let waits =
        containers(located).map(|(_, member)| longest_wait(located, &member.name, &mut Vec::new()));
    let Some((seconds, chain)) = waits.max_by_key(|(seconds, _)| *seconds) else {
        return;
    };
    let Some((last, _)) = chain.last().filter(|_| seconds >= THRESHOLD) else {
        return;
    };
    let parts: Vec<_> = chain
        .iter()
        .map(|(name, interval)| format!("`{name}` {interval} s"))
        .collect();

    let message = format!(
        "every start waits at least {seconds} s for HEALTHY: {}",
        parts.join(" + ")
    );
    let hint = "write \"interval\": 5 and \"timeout\": 2 in the health check, or wait for START";
    let edge =
        edges(located).find(|edge| edge.condition == Condition::Healthy && edge.target == *last);

    if let Some(edge) = edge {
        report.add(format!("{}/condition", edge.pointer), message, hint);
    }
}

const THRESHOLD: u32 = 30;

/// Returns the seconds before a container can start, and the chain of dependencies that causes them.
fn longest_wait<'l>(
    located: &'l LocatedDefinition,
    name: &'l str,
    path: &mut Vec<&'l str>,
) -> (u32, Vec<(&'l str, u32)>) {
    // A cycle is D02's.
    let Some((_, current)) = container(located, name).filter(|_| !path.contains(&name)) else {
        return (0, Vec::new());
    };
    path.push(name);

    let waits = current.depends_on.iter().map(|edge| {
        let (before, mut chain) = longest_wait(located, &edge.container_name, path);
        let target = located.definition.container(&edge.container_name);
        let check = target.and_then(|target| target.health_check.as_ref());
        // Only HEALTHY waits for a health check.
        let interval = check
            .filter(|_| edge.condition == Condition::Healthy)
            .map_or(0, |check| check.interval.unwrap_or(30));

        if interval > 0 {
            chain.push((edge.container_name.as_str(), interval));
        }
        (before.saturating_add(interval), chain)
    });

    let longest = waits.max_by_key(|(seconds, _)| *seconds);
    path.pop();
    longest.unwrap_or_default()
}
