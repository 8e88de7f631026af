use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{container, containers, waits_for_exit};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H06",
    name: "stop-chain-too-long",
    severity: Severity::Warning,
    title: "stop chain exceeds two minutes",
    explanation: "ECS stops containers in the reverse order of their dependencies, one after the \
                  other, and each may take its stopTimeout (30 seconds when nothing is said). A \
                  Spot task is ended two minutes after the warning, so what is last in a longer \
                  chain is killed without being asked.",
    source: "ECS API, ContainerDefinition, field dependsOn (shutdown is reversed); \
                  developer guide, Fargate Spot",
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
    failing: r#"{
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
      "stopTimeout": 60
    },
    { "name": "app", "image": "app:1", "stopTimeout": 90 }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // More containers than a task can have (T02) could have more chains than there is time.
    let few = located.definition.container_definitions.len() <= 10;
    if !few || !located.definition.is_fargate() {
        return;
    }

    let chains = containers(located).map(|(_, one)| chain(located, &one.name, &mut Vec::new()));
    let Some((seconds, names)) = chains.max_by_key(|(seconds, _)| *seconds) else {
        return;
    };
    let first = names.first().and_then(|name| container(located, name));

    if let (Some((pointer, _)), true) = (first, seconds > SPOT_WARNING && names.len() > 1) {
        let message = format!(
            "stopping {} one after the other may take {seconds} s; Spot gives {SPOT_WARNING}",
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

/// The slowest way to stop a container and, after it, those it depends on.
fn chain<'l>(
    located: &'l LocatedDefinition,
    name: &'l str,
    path: &mut Vec<&'l str>,
) -> (u32, Vec<&'l str>) {
    // A circle is D02's to tell.
    let Some((_, one)) = container(located, name).filter(|_| !path.contains(&name)) else {
        return (0, Vec::new());
    };
    path.push(name);

    let next = one
        .depends_on
        .iter()
        .filter(|edge| !waits_for_exit(edge.condition));
    let below = next.map(|edge| chain(located, &edge.container_name, path));
    let (seconds, mut names) = below
        .max_by_key(|(seconds, _)| *seconds)
        .unwrap_or_default();

    path.pop();
    names.insert(0, name);
    let own = one.stop_timeout.unwrap_or(30);
    (seconds.saturating_add(own), names)
}
