use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, containers, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H06",
    name: "stop-chain-too-long",
    severity: Severity::Warning,
    title: "stop chain exceeds two minutes",
    explanation: "ECS stops containers one after another in the reverse order of their dependencies, \
                  and each may take its stopTimeout, 30 seconds by default. A Spot task ends two \
                  minutes after the warning, so the last containers of a longer chain are killed \
                  without SIGTERM.",
    source: "ECS API, ContainerDefinition, field dependsOn (shutdown is reversed); developer \
                  guide, Fargate Spot",
    hint: "Shorten the stop timeouts along the chain.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "proxy",
      "image": "proxy:1",
      "dependsOn": [{ "containerName": "app", "condition": "START" }],
      "stopTimeout": 30
    },
    { "name": "app", "image": "app:1", "stopTimeout": 60 }
  ]
}"#,
    // 60 s for the proxy and 90 s for the app, one after another.
    failing: Failing::Change(
        r#""stopTimeout": 30
    },
    { "name": "app", "image": "app:1", "stopTimeout": 60 }"#,
        r#""stopTimeout": 60
    },
    { "name": "app", "image": "app:1", "stopTimeout": 90 }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // The number of chains grows exponentially, and T02 rejects larger tasks anyway.
    let is_small = located.definition.container_definitions.len() <= 10;
    if !is_small || !located.definition.is_fargate() {
        return;
    }

    let chains = containers(located)
        .map(|(_, member)| slowest_chain(located, &member.name, &mut Vec::new()));
    let Some((seconds, names)) = chains.max_by_key(|(seconds, _)| *seconds) else {
        return;
    };
    let first = names.first().and_then(|name| container(located, name));

    if let (Some((pointer, _)), true) = (first, seconds > SPOT_WARNING && names.len() > 1) {
        let message = format!(
            "stopping {} one after another may take {seconds} s; Spot gives {SPOT_WARNING}",
            names.join(", ")
        );
        report.add(
            format!("{pointer}/stopTimeout"),
            message,
            "shorten stopTimeout along the chain",
        );
    }
}

const SPOT_WARNING: u32 = 120;

/// Returns the slowest chain of a container and the dependencies that stop after it.
fn slowest_chain<'l>(
    located: &'l LocatedDefinition,
    name: &'l str,
    path: &mut Vec<&'l str>,
) -> (u32, Vec<&'l str>) {
    // A cycle is D02's.
    let Some((_, current)) = container(located, name).filter(|_| !path.contains(&name)) else {
        return (0, Vec::new());
    };
    path.push(name);

    let next = current
        .depends_on
        .iter()
        .filter(|edge| !waits_for_exit(edge.condition));
    let below = next.map(|edge| slowest_chain(located, &edge.container_name, path));
    // A dependency that has exited needs no time to stop, so COMPLETE and SUCCESS are skipped
    // above.
    let (seconds, mut names) = below
        .max_by_key(|(seconds, _)| *seconds)
        .unwrap_or_default();

    path.pop();
    names.insert(0, name);
    let own = current.stop_timeout.unwrap_or(30);
    (seconds.saturating_add(own), names)
}
