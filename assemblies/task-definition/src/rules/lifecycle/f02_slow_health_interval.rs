use crate::container::Condition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{container, containers, edges};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F02",
    name: "slow-health-interval",
    severity: Severity::Warning,
    title: "default health interval delays every start by 30 s",
    explanation: "The first probe runs one interval after the container has started, 30 seconds when \
                  nothing is said, and nothing that waits for HEALTHY starts before. The waits of a \
                  chain add up, at every deployment and every scale-out. A program that waits for \
                  its upstream by itself needs START only.",
    source: "ECS API, HealthCheck, field interval; moby, health monitor (the first probe comes \
                  after an interval)",
    hint: "Shorten the interval to 5 seconds with a timeout of 2, or wait for START.",
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
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "cache", "condition": "HEALTHY" }], "memory": 128 },
    {
      "name": "cache",
      "image": "cache:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"] },
      "startTimeout": 120,
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // More containers than a task can have (T02) could have more chains than there is time.
    if located.definition.container_definitions.len() > 10 {
        return;
    }

    let waits = containers(located).map(|(_, one)| wait(located, &one.name, &mut Vec::new()));
    let Some((seconds, chain)) = waits.max_by_key(|(seconds, _)| *seconds) else {
        return;
    };
    let Some((last, _)) = chain.last().filter(|_| seconds >= LONG) else {
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

const LONG: u32 = 30;

/// The seconds before a container can start at the earliest, and whom it waits for so long.
fn wait<'l>(
    located: &'l LocatedDefinition,
    name: &'l str,
    path: &mut Vec<&'l str>,
) -> (u32, Vec<(&'l str, u32)>) {
    // A circle is D02's to tell.
    let Some((_, one)) = container(located, name).filter(|_| !path.contains(&name)) else {
        return (0, Vec::new());
    };
    path.push(name);

    let waits = one.depends_on.iter().map(|edge| {
        let (before, mut chain) = wait(located, &edge.container_name, path);
        let target = located.definition.container(&edge.container_name);
        let check = target.and_then(|target| target.health_check.as_ref());
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
