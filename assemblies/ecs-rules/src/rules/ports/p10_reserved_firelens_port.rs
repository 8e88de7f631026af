use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, ports, range};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P10",
    name: "reserved-firelens-port",
    severity: Severity::Warning,
    title: "container uses port 24224 of the log router",
    explanation: "FireLens listens on port 24224 of the shared loopback. Another container on that \
                  port fails, and a port mapping exposes the log input; the developer guide advises \
                  to keep it closed.",
    source: "ECS developer guide, FireLens",
    hint: "Use another port.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "router",
      "image": "fluent-bit:1",
      "firelensConfiguration": { "type": "fluentbit" }
    },
    { "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }] }
  ]
}"#,
    // app maps the port of the router.
    failing: Failing::Change(r#""containerPort": 8080"#, r#""containerPort": 24224"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // Without FireLens the port is free.
    if !containers(located).any(|(_, container)| container.firelens_configuration.is_some()) {
        return;
    }
    for (pointer, container, port) in ports(located) {
        if range(port).is_some_and(|(first, last)| (first..=last).contains(&24_224)) {
            let message = format!(
                "`{}` maps port 24224, on which the log router listens",
                container.name
            );
            report.add(pointer, message, "remove the mapping, or use another port");
        }
    }
}
