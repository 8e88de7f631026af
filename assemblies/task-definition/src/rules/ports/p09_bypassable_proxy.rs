use serde_json::json;

use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::network::{listeners, offers, proxy_edges};
use crate::rules::shared::shares_network;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P09",
    name: "bypassable-proxy",
    severity: Severity::Warning,
    title: "container behind a proxy listens on all interfaces",
    explanation: "On Fargate every port that a program opens on 0.0.0.0 can be reached on the \
                  network interface of the task, whether portMappings names it or not. A container \
                  behind a proxy that checks tokens or ends TLS can then be called around the proxy, \
                  wherever the security group lets traffic through. Seen where one container's \
                  variable names another one's port as its upstream, and that one says it listens on \
                  every address and offers no port.",
    source: "ECS developer guide, awsvpc: containers of a task share one network interface",
    hint: "Let the container behind listen on 127.0.0.1.",
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
    failing: r#"{
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
    { "name": "app", "image": "app:1", "environment": [{ "name": "LISTEN", "value": "0.0.0.0:8080" }] }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for front in proxy_edges(located) {
        let (behind, port) = (front.behind, front.port);
        let open = listeners(behind)
            .find(|one| one.port == port && matches!(one.host.as_str(), "0.0.0.0" | "[::]"));

        // A port that is offered is meant to be reached.
        let Some(open) = open.filter(|_| !offers(behind, port)) else {
            continue;
        };
        let pointer = format!("{}/environment/{}/value", front.behind_pointer, open.index);
        let message = format!(
            "`{}` can be called on port {port} around `{}`, which stands in front of it",
            behind.name, front.proxy.name
        );

        report.add(pointer.clone(), message, format!("write 127.0.0.1:{port}"));
        let value = &behind.environment[open.index].value;
        let closed = value.replace(&open.host, "127.0.0.1");
        report.fix(
            "let it listen on 127.0.0.1",
            vec![Edit::Set(pointer, json!(closed))],
        );
    }
}
