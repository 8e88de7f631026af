use std::collections::BTreeSet;

use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I06",
    name: "port-not-exposed",
    severity: Severity::Warning,
    title: "port mapping names a port that the image does not expose",
    explanation: "An image declares its ports with EXPOSE. If it declares some and a port mapping names another \
                  one, the mapping is usually wrong, and the load balancer's health checks fail. \
                  Images without EXPOSE, and containers whose variables contain the port, are not \
                  reported.",
    source: "OCI image specification, config.md, ExposedPorts; ECS API, PortMapping",
    hint: "Correct containerPort, or configure the program to listen on it.",
    images: r#"{ "app:1": { "entryPoint": ["/app"], "exposedPorts": ["8080/tcp"] } }"#,
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }] }]
}"#,
    // The program listens on 8080.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 80 }] }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    for (pointer, container) in containers(located) {
        let exposed = match images.find_inspected(container) {
            Some(image) if !image.exposed_ports.is_empty() => &image.exposed_ports,
            _ => continue,
        };
        for (index, mapping) in container.port_mappings.iter().enumerate() {
            let Some(port) = mapping.container_port else {
                continue;
            };
            if is_exposed(exposed, i64::from(port)) || is_configured(container, &port.to_string()) {
                continue;
            }

            let ports: Vec<&str> = exposed.iter().map(String::as_str).collect();
            let message = format!(
                "`{}` maps port {port}, but its image exposes {}",
                container.name,
                ports.join(", ")
            );
            let hint = "correct containerPort, or configure the program to listen on it";
            report.add(
                format!("{pointer}/portMappings/{index}/containerPort"),
                message,
                hint,
            );
        }
    }
}

/// Returns whether a port is one of the exposed ones: `8080/tcp`, `8080`, `8000-8010/tcp`.
fn is_exposed(exposed: &BTreeSet<String>, port: i64) -> bool {
    exposed.iter().any(|text| {
        let numbers = text.split('/').next().unwrap_or_default();
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        match (first.parse::<i64>(), last.parse::<i64>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&port),
            _ => false,
        }
    })
}

/// Returns whether the definition mentions the port, as in `LISTEN=:80` or `--port=80`.
fn is_configured(container: &ContainerDefinition, port: &str) -> bool {
    let variables = container.environment.iter().map(|variable| &variable.value);
    let words = container.command.iter().chain(&container.entry_point);
    variables.chain(words).any(|text| {
        text.split(|c: char| !c.is_ascii_digit())
            .any(|number| number == port)
    })
}
