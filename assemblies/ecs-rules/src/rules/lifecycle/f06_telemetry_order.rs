use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::images::ImageFacts;
use crate::rules::network::{loopback_port, reaches, serves};
use crate::rules::shared::{add_dependency, containers, shares_network};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F06",
    name: "telemetry-order",
    severity: Severity::Warning,
    title: "container does not depend on its telemetry collector",
    explanation: "ECS stops containers in the reverse order of dependsOn, and all at once without \
                  it. A container that sends traces, metrics or logs to a collector loses the last \
                  of them if the collector stops first or at the same time. With dependsOn the \
                  collector stops last. The rule applies if a variable names a telemetry port on the \
                  loopback: 2000, 4317, 4318, 8125, 8126 or 25888.",
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
    // app exports to the collector's port without a dependency.
    failing: Failing::Change(
        r#""environment": [{ "name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://127.0.0.1:4318" }],
      "dependsOn": [{ "containerName": "collector", "condition": "START" }]"#,
        r#""environment": [{ "name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://127.0.0.1:4318" }]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for (pointer, container) in containers(located) {
        let Some((index, collector)) = find_collector(located, container, report.images()) else {
            continue;
        };
        if reaches(located, &container.name, &collector.name) {
            continue;
        }

        let location = format!("{pointer}/environment/{index}/value");
        let (name, collector) = (&container.name, &collector.name);
        let message = format!("`{name}` sends to `{collector}`, which may be stopped before it");

        // Another edge would create a cycle, so there is no fix.
        if reaches(located, collector, name) {
            let hint = format!("reverse the dependency: `{name}` must depend on `{collector}`");
            report.add(location, message, hint);
        } else {
            let hint = format!("add `{collector}` to dependsOn of `{name}`, with condition START");
            report.add(location, message, hint);
            report.fix(
                format!("add `{collector}` to dependsOn of `{name}`"),
                vec![add_dependency(&pointer, container, collector)],
            );
        }
    }
}

/// Returns the index of the variable that names a telemetry port, and the collector.
fn find_collector<'l>(
    located: &'l LocatedDefinition,
    container: &ContainerDefinition,
    images: &ImageFacts,
) -> Option<(usize, &'l ContainerDefinition)> {
    let variables = container.environment.iter().enumerate();
    let ports = variables.filter_map(|(index, variable)| {
        let port = loopback_port(&variable.value)?;
        PORTS.contains(&port).then_some((index, port))
    });
    let others = || containers(located).filter(|(_, other)| other.name != container.name);
    let mut found = ports
        .filter(|(_, port)| !serves(container, *port))
        .filter_map(|(index, port)| {
            // A collector without a port mapping is recognized by its image.
            let by_port = others().find(|(_, other)| serves(other, port));
            let (_, collector) =
                by_port.or_else(|| others().find(|(_, other)| images.is_telemetry_agent(other)))?;
            Some((index, collector))
        });

    // A collector that forwards to another one is not an application.
    found.find(|_| !images.is_telemetry_agent(container))
}

const PORTS: [u32; 6] = [2000, 4317, 4318, 8125, 8126, 25_888];
