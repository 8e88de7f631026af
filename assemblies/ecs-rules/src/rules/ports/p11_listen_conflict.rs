use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::network::listeners;
use crate::rules::shared::{containers, edges, shares_network, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P11",
    name: "listen-conflict",
    severity: Severity::Warning,
    title: "two containers listen on the same port",
    explanation: "With awsvpc the containers of a task share one network interface. P03 checks \
                  mapped ports; this rule checks ports in variables such as PORT or LISTEN. The \
                  second program that opens the port fails at startup.",
    source: "ECS developer guide, awsvpc: containers of a task share one network interface",
    hint: "Use another port for one of them.",
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
    // Both containers listen on 8080 according to PORT.
    failing: Failing::Change(r#""value": "8081""#, r#""value": "8080""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }

    let mut bound: Vec<(u32, &str)> = Vec::new();
    for (pointer, container) in containers(located) {
        // A container that exits before the others start does not block a port.
        if edges(located)
            .any(|edge| edge.target == container.name && waits_for_exit(edge.condition))
        {
            continue;
        }
        for listener in listeners(container) {
            let port = listener.port;
            let owner = bound
                .iter()
                .find(|(known, owner)| *known == port && *owner != container.name);

            if let Some((_, owner)) = owner {
                let message = format!("`{owner}` and `{}` both listen on {port}", container.name);
                let hint = "give one of them another port: containers of a task share one network";
                let pointer = format!("{pointer}/environment/{}/value", listener.index);
                report.add(pointer, message, hint);
            }
            bound.push((port, &container.name));
        }
    }
}
