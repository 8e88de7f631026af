use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, shares_network};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P08",
    name: "container-hostname",
    severity: Severity::Warning,
    title: "container addressed by name instead of 127.0.0.1",
    explanation: "With Docker links or a bridge network, containers reach each other by name. With \
                  awsvpc, and therefore on Fargate, they share one loopback and no names are set up: \
                  the connection fails at startup.",
    source: "ECS developer guide, awsvpc network mode",
    hint: "Use 127.0.0.1 in place of the name.",
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
    // The address uses the container's name, as in Docker Compose.
    failing: Failing::Change(
        r#""value": "127.0.0.1:4317""#,
        r#""value": "collector:4317""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for (pointer, container) in containers(located) {
        for (index, variable) in container.environment.iter().enumerate() {
            let value = &variable.value;
            let addressed = containers(located).find(|(_, other)| has_host(value, &other.name));
            if let Some((_, other)) = addressed {
                let pointer = format!("{pointer}/environment/{index}/value");
                let message = format!("`{value}` does not resolve: containers share one loopback");
                let hint = format!("write 127.0.0.1 in place of `{}`", other.name);
                report.add(pointer.clone(), message, hint);

                let corrected = value.replacen(&other.name, "127.0.0.1", 1);
                // The first occurrence of the name may be in another part of the URL.
                if has_host(&corrected, "127.0.0.1") {
                    report.fix_value(pointer, Some(&corrected));
                }
            }
        }
    }
}

/// Returns whether the value is `name:port` or a URL with this host.
fn has_host(value: &str, name: &str) -> bool {
    let (is_url, rest) = match value.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, value),
    };

    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };

    // A bare word without a port may be any value, so only a URL may omit it.
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host == name && port.map_or(is_url, is_port)
}
