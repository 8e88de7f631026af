use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{ports, range, shares_network};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P03",
    name: "duplicate-port",
    severity: Severity::Error,
    title: "port mapped twice",
    explanation: "With awsvpc all containers of a task share one network interface and one \
                  loopback, so two of them cannot listen on the same port and protocol. The \
                  second one fails when it starts.",
    source: "follows from ECS developer guide, awsvpc; the answer of ECS was not found",
    hint: "Let one of them listen on another port.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8443 }] },
    { "name": "proxy", "image": "proxy:1", "portMappings": [{ "containerPort": 8443 }] }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }

    let mut taken: Vec<(&str, (u32, u32), &str)> = Vec::new();
    for (pointer, one, port) in ports(located) {
        let Some(range) = range(port) else { continue };
        let protocol = port.protocol.as_deref().unwrap_or("tcp");
        let same = |other: &&(&str, (u32, u32), &str)| {
            other.0 == protocol && other.1.0 <= range.1 && range.0 <= other.1.1
        };

        if let Some((_, other, owner)) = taken.iter().find(same) {
            let clash = range.0.max(other.0);
            let message = format!(
                "{clash}/{protocol} is taken by `{owner}` and by `{}`",
                one.name
            );
            let hint = "let one of them listen elsewhere: containers of a task share one network";
            report.add(format!("{pointer}/containerPort"), message, hint);
        }
        taken.push((protocol, range, &one.name));
    }
}
