use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{is_port_name, ports};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P05",
    name: "invalid-port-name",
    severity: Severity::Error,
    title: "port name is invalid or not unique",
    explanation: "Service Connect and VPC Lattice refer to a port by its name, which is unique in \
                  the task.",
    source: "ECS API, PortMapping, field name",
    hint: "Use lower-case letters, digits, - and _, not beginning with -.",
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
      "portMappings": [{ "containerPort": 8443, "name": "https" }]
    }
  ]
}"#,
    // Upper-case letters are not valid in a port name.
    failing: Failing::Change(r#""name": "https""#, r#""name": "HTTPS""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // Names are unique in the task, not only in their container.
    let mut seen: Vec<&str> = Vec::new();
    for (pointer, container, port) in ports(located) {
        let Some(name) = port.name.as_deref() else {
            continue;
        };
        let pointer = format!("{pointer}/name");

        if !is_port_name(name) {
            let hint = "use up to 64 lower-case letters, digits, - and _, not beginning with -";
            report.add(
                pointer,
                format!(
                    "`{name}` is not a valid port name (in `{}`)",
                    container.name
                ),
                hint,
            );
        } else if seen.contains(&name) {
            report.add(
                pointer,
                format!("two ports are named `{name}`"),
                "rename one of them",
            );
        }
        seen.push(name);
    }
}
