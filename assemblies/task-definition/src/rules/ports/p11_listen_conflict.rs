use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::network::listeners;
use crate::rules::shared::{containers, edges, shares_network, waits_for_exit};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P11",
    name: "listen-conflict",
    severity: Severity::Warning,
    title: "two containers listen on the same port",
    explanation: "Containers of a task that uses awsvpc share one loopback and one interface. P03 \
                  sees ports that are mapped; this rule sees those that variables name, such as PORT \
                  or LISTEN. The second program that wants the port ends when it starts.",
    source: "ECS developer guide, awsvpc: containers of a task share one network interface",
    hint: "Give one of them another port.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "environment": [{ "name": "PORT", "value": "8080" }] },
    { "name": "admin", "image": "admin:1", "environment": [{ "name": "PORT", "value": "8081" }] }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "environment": [{ "name": "PORT", "value": "8080" }] },
    { "name": "admin", "image": "admin:1", "environment": [{ "name": "PORT", "value": "8080" }] }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }

    let mut taken: Vec<(u32, &str)> = Vec::new();
    for (pointer, one) in containers(located) {
        // What has ended before the others start takes no port from them.
        if edges(located).any(|edge| edge.target == one.name && waits_for_exit(edge.condition)) {
            continue;
        }
        for listener in listeners(one) {
            let port = listener.port;
            let owner = taken
                .iter()
                .find(|(known, owner)| *known == port && *owner != one.name);

            if let Some((_, owner)) = owner {
                let message = format!("`{owner}` and `{}` both listen on {port}", one.name);
                let hint = "give one of them another port: containers of a task share one network";
                let pointer = format!("{pointer}/environment/{}/value", listener.index);
                report.add(pointer, message, hint);
            }
            taken.push((port, &one.name));
        }
    }
}
