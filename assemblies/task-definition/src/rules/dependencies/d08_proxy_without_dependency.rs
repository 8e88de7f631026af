use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::network::{proxy_edges, reaches};
use crate::rules::shared::add_dependency;
use crate::rules::shared::shares_network;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D08",
    name: "proxy-without-dependency",
    severity: Severity::Warning,
    title: "proxy does not depend on its upstream",
    explanation: "ECS stops containers in the reverse order of dependsOn. A proxy that depends on \
                  the app behind it is stopped first, while the app still answers what is in flight. \
                  Without the edge both are stopped at once, and requests that are under way end in \
                  502. Seen where a variable such as UPSTREAM names the port of another container.",
    source: "ECS API, ContainerDefinition, field dependsOn (shutdown is reversed); Amazon ECS \
                  agent, shutdown order",
    hint: "Add the container behind to dependsOn of the one in front, with condition START.",
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
    { "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }] }
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
      "environment": [{ "name": "UPSTREAM", "value": "http://127.0.0.1:8080" }]
    },
    { "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }] }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for front in proxy_edges(located) {
        let (proxy, behind) = (&front.proxy.name, &front.behind.name);
        if reaches(located, proxy, behind) {
            continue;
        }

        let message = format!("`{proxy}` fronts `{behind}` and is not stopped before it");
        if reaches(located, behind, proxy) {
            let hint = format!("turn the dependency round: `{proxy}` depends on `{behind}`");
            report.add(front.address, message, hint);
        } else {
            let hint = format!("add `{behind}` to dependsOn of `{proxy}`, with condition START");
            report.add(front.address, message, hint);
            report.fix(
                format!("add `{behind}` to dependsOn of `{proxy}`"),
                vec![add_dependency(&front.pointer, front.proxy, behind)],
            );
        }
    }
}
