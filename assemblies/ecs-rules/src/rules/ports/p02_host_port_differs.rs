use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::shared::{ports, shares_network};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P02",
    name: "host-port-differs",
    severity: Severity::Error,
    title: "hostPort differs from containerPort",
    explanation: "In network modes awsvpc and host, ports are not mapped. ECS rejects the definition \
                  with \"When networkMode=awsvpc, the host ports and container ports in port \
                  mappings must match.\"",
    source: "ECS error message; cfn-lint E3053",
    hint: "Remove hostPort.",
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
      "portMappings": [{ "containerPort": 8080, "hostPort": 8080 }]
    }
  ]
}"#,
    // Port 80 of the host would be mapped to 8080.
    failing: Failing::Change(r#""hostPort": 8080"#, r#""hostPort": 80"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for (pointer, container, port) in ports(located) {
        let (Some(inner), Some(outer)) = (port.container_port, port.host_port) else {
            continue;
        };
        if inner != outer {
            let message = format!(
                "`{}` maps {outer} to {inner}; awsvpc and host do not map ports",
                container.name
            );
            let hint = format!("remove `hostPort`, or let the program listen on {outer}");
            let pointer = format!("{pointer}/hostPort");

            report.add(pointer.clone(), message, hint);
            // Without hostPort ECS uses containerPort, on which the program listens.
            report.fix("remove `hostPort`", vec![Edit::Remove(pointer)]);
        }
    }
}
