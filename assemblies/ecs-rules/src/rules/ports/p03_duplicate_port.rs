use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{ports, range, shares_network};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P03",
    name: "duplicate-port",
    severity: Severity::Error,
    title: "port mapped twice",
    explanation: "With awsvpc all containers of a task share one network interface and one loopback, \
                  so two of them cannot listen on the same port and protocol. The second one fails \
                  at startup.",
    source: "derived from ECS developer guide, awsvpc; the ECS error message is not known",
    hint: "Use another port for one of them.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }] },
    { "name": "proxy", "image": "proxy:1", "portMappings": [{ "containerPort": 8443 }] }
  ]
}"#,
    // Both containers map 8443.
    failing: Failing::Change(r#""containerPort": 8080"#, r#""containerPort": 8443"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }

    let mut mapped: Vec<(&str, (u32, u32), &str)> = Vec::new();
    for (pointer, container, port) in ports(located) {
        let Some(range) = range(port) else { continue };
        let protocol = port.protocol.as_deref().unwrap_or("tcp");
        let overlaps = |other: &&(&str, (u32, u32), &str)| {
            other.0 == protocol && other.1.0 <= range.1 && range.0 <= other.1.1
        };

        if let Some((_, other, owner)) = mapped.iter().find(overlaps) {
            // The first port that both ranges contain.
            let clash = range.0.max(other.0);
            let message = format!(
                "{clash}/{protocol} is mapped by `{owner}` and by `{}`",
                container.name
            );
            let hint = "use another port for one of them: containers of a task share one network";
            report.add(format!("{pointer}/containerPort"), message, hint);
        }
        mapped.push((protocol, range, &container.name));
    }
}
