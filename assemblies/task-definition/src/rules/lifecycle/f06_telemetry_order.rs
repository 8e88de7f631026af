use crate::container::ContainerDefinition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::images;
use crate::rules::network::{loopback_port, reaches, serves};
use crate::rules::shared::add_dependency;
use crate::rules::shared::{containers, shares_network};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F06",
    name: "telemetry-order",
    severity: Severity::Warning,
    title: "container does not depend on its telemetry collector",
    explanation: "ECS stops containers in the reverse order of dependsOn, and all at once where \
                  there is none. A container that sends its traces, metrics or logs to a collector \
                  beside it loses the last of them when the collector is stopped first or at the \
                  same time; with dependsOn the collector goes last. Seen where a variable names a \
                  port of telemetry on the loopback: 2000, 4317, 4318, 8125, 8126 or 25888.",
    source: "ECS API, ContainerDefinition, field dependsOn (shutdown is reversed); \
                  aws/aws-for-fluent-bit#856",
    hint: "Add the collector to dependsOn, with condition START.",
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
      "environment": [{ "name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://127.0.0.1:4318" }],
      "dependsOn": [{ "containerName": "collector", "condition": "START" }]
    },
    { "name": "collector", "image": "aws-otel-collector:v0.43.0", "essential": false }
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
      "environment": [{ "name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://127.0.0.1:4318" }]
    },
    { "name": "collector", "image": "aws-otel-collector:v0.43.0", "essential": false }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for (pointer, one) in containers(located) {
        let Some((index, taker)) = sends(located, one) else {
            continue;
        };
        if reaches(located, &one.name, &taker.name) {
            continue;
        }

        let location = format!("{pointer}/environment/{index}/value");
        let (name, taker) = (&one.name, &taker.name);
        let message = format!("`{name}` sends to `{taker}`, which may be stopped before it");

        if reaches(located, taker, name) {
            let hint = format!("turn the dependency round: `{name}` depends on `{taker}`");
            report.add(location, message, hint);
        } else {
            let hint = format!("add `{taker}` to dependsOn of `{name}`, with condition START");
            report.add(location, message, hint);
            report.fix(
                format!("add `{taker}` to dependsOn of `{name}`"),
                vec![add_dependency(&pointer, one, taker)],
            );
        }
    }
}

/// The variable that names a port of telemetry, and who takes what is sent there.
fn sends<'l>(
    located: &'l LocatedDefinition,
    one: &ContainerDefinition,
) -> Option<(usize, &'l ContainerDefinition)> {
    let variables = one.environment.iter().enumerate();
    let ports = variables.filter_map(|(index, variable)| {
        let port = loopback_port(&variable.value)?;
        PORTS.contains(&port).then_some((index, port))
    });
    let others = || containers(located).filter(|(_, other)| other.name != one.name);
    let mut found = ports
        .filter(|(_, port)| !serves(one, *port))
        .filter_map(|(index, port)| {
            let by_port = others().find(|(_, other)| serves(other, port));
            let (_, taker) = by_port
                .or_else(|| others().find(|(_, other)| images::is_telemetry_agent(other)))?;
            Some((index, taker))
        });

    found.find(|_| !images::is_telemetry_agent(one))
}

const PORTS: [u32; 6] = [2000, 4317, 4318, 8125, 8126, 25_888];
