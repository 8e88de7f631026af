use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::ports;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P01",
    name: "invalid-port",
    severity: Severity::Error,
    title: "port is out of range, or set beside a port range",
    explanation: "A port mapping has either containerPort or containerPortRange. Ports are 1 to \
                  65535.",
    source: "ECS API, PortMapping",
    hint: "Use 1 to 65535.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }] }]
}"#,
    // 80800 is above 65535.
    failing: Failing::Change(r#""containerPort": 8080"#, r#""containerPort": 80800"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, port) in ports(located) {
        let name = &container.name;
        match (port.container_port, &port.container_port_range) {
            (Some(_), Some(_)) => {
                let message = format!("a port mapping of `{name}` has a port and a range");
                report.add(
                    pointer,
                    message,
                    "keep `containerPort` or `containerPortRange`",
                );
            }
            (None, None) => {
                let message = format!("a port mapping of `{name}` has no port");
                report.add(pointer, message, "add \"containerPort\": 8080");
            }
            // u32 allows larger numbers than a port has.
            (Some(number), None) if !(1..=65_535).contains(&number) => {
                let message = format!("`{name}` has port {number}; ports are 1 to 65535");
                report.add(
                    format!("{pointer}/containerPort"),
                    message,
                    "write 1 to 65535",
                );
            }
            _ => {}
        }
    }
}
