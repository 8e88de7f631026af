use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, shares_network};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P08",
    name: "container-hostname",
    severity: Severity::Warning,
    title: "container addressed by name instead of 127.0.0.1",
    explanation: "With Docker links or a bridge network a container finds another by its name. \
                  With awsvpc, and so on Fargate, they share one loopback and no name is set up: \
                  the connection fails when the program starts.",
    source: "ECS developer guide, awsvpc network mode",
    hint: "Write 127.0.0.1 in place of the name.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "COLLECTOR", "value": "127.0.0.1:4317" }]
    },
    { "name": "collector", "image": "collector:1" }
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
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "COLLECTOR", "value": "collector:4317" }]
    },
    { "name": "collector", "image": "collector:1" }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for (pointer, one) in containers(located) {
        for (index, variable) in one.environment.iter().enumerate() {
            let value = &variable.value;
            let called = containers(located).find(|(_, other)| calls(value, &other.name));
            if let Some((_, other)) = called {
                let pointer = format!("{pointer}/environment/{index}/value");
                let message = format!("`{value}` does not resolve: containers share one loopback");
                let hint = format!("write 127.0.0.1 in place of `{}`", other.name);
                report.add(pointer.clone(), message, hint);

                let near = value.replacen(&other.name, "127.0.0.1", 1);
                if calls(&near, "127.0.0.1") {
                    report.fix_value(pointer, Some(&near));
                }
            }
        }
    }
}

/// Whether the value is `name:port` or an address with the name as its host.
fn calls(value: &str, name: &str) -> bool {
    let (url, rest) = match value.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, value),
    };

    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };

    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host == name && port.map_or(url, is_port)
}
