use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::ports;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P06",
    name: "unknown-protocol",
    severity: Severity::Error,
    title: "unknown protocol, or appProtocol without a name",
    explanation: "protocol is tcp or udp. appProtocol is http, http2 or grpc and is used by Service \
                  Connect, which needs a port name and supports tcp only.",
    source: "ECS API, PortMapping, fields protocol, name and appProtocol",
    hint: "Add a name, or correct the protocol.",
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
      "portMappings": [{ "containerPort": 8080, "name": "web", "appProtocol": "http" }]
    }
  ]
}"#,
    // appProtocol without a name.
    failing: Failing::Change(
        r#""name": "web", "appProtocol": "http""#,
        r#""appProtocol": "http""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, port) in ports(located) {
        report.check_enum(
            &format!("{pointer}/protocol"),
            port.protocol.as_deref(),
            &["tcp", "udp"],
        );
        let Some(app) = port.app_protocol.as_deref() else {
            continue;
        };
        let pointer = format!("{pointer}/appProtocol");

        report.check_enum(&pointer, Some(app), &["http", "http2", "grpc"]);
        // Service Connect finds a port by its name; without one appProtocol has no effect.
        if port.name.is_none() {
            let message = format!(
                "a port of `{}` has an appProtocol but no name",
                container.name
            );
            report.add(pointer, message, "add \"name\", or remove `appProtocol`");
        } else if port.protocol.as_deref() == Some("udp") {
            let message = format!("a port of `{}` uses {app} over udp", container.name);
            report.add(pointer, message, "write \"protocol\": \"tcp\"");
        }
    }
}
