use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::network::{listeners, offers, proxy_edges};
use crate::rules::shared::shares_network;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P09",
    name: "bypassable-proxy",
    severity: Severity::Warning,
    title: "container behind a proxy listens on all interfaces",
    explanation: "On Fargate every port that a program opens on 0.0.0.0 is reachable on the task's \
                  network interface, whether or not portMappings lists it. A container behind a \
                  proxy that checks tokens or terminates TLS can then be called directly, as far as \
                  the security group allows. The rule applies if a variable of one container names \
                  another container's port as its upstream, and that container listens on all \
                  addresses and has no port mapping.",
    source: "ECS developer guide, awsvpc: containers of a task share one network interface",
    hint: "Let the container behind the proxy listen on 127.0.0.1.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "proxy",
      "image": "proxy:1",
      "environment": [{ "name": "UPSTREAM", "value": "http://127.0.0.1:8080" }],
      "dependsOn": [{ "containerName": "app", "condition": "START" }]
    },
    { "name": "app", "image": "app:1", "environment": [{ "name": "LISTEN", "value": "127.0.0.1:8080" }] }
  ]
}"#,
    // app listens on all interfaces behind the proxy.
    failing: Failing::Change(r#""value": "127.0.0.1:8080""#, r#""value": "0.0.0.0:8080""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for edge in proxy_edges(located) {
        let (behind, port) = (edge.behind, edge.port);
        let exposed = listeners(behind).find(|listener| {
            listener.port == port && matches!(listener.host.as_str(), "0.0.0.0" | "[::]")
        });

        // A mapped port is meant to be reachable.
        let Some(exposed) = exposed.filter(|_| !offers(behind, port)) else {
            continue;
        };
        let pointer = format!(
            "{}/environment/{}/value",
            edge.behind_pointer, exposed.index
        );
        let message = format!(
            "`{}` can be reached on port {port} without its proxy `{}`",
            behind.name, edge.proxy.name
        );

        report.add(pointer.clone(), message, format!("write 127.0.0.1:{port}"));
        let value = &behind.environment[exposed.index].value;
        let closed = value.replace(&exposed.host, "127.0.0.1");
        report.fix(
            "let it listen on 127.0.0.1",
            vec![Edit::Set(pointer, json!(closed))],
        );
    }
}
