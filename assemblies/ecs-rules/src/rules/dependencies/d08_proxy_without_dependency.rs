use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::network::{proxy_edges, reaches};
use crate::rules::shared::{add_dependency, shares_network};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D08",
    name: "proxy-without-dependency",
    severity: Severity::Warning,
    title: "proxy does not depend on its upstream",
    explanation: "ECS stops containers in the reverse order of dependsOn. A proxy that depends on \
                  the app is stopped first, while the app still answers requests in flight. Without \
                  the dependency both stop at once, and requests in flight end in 502. The rule \
                  applies if a variable such as UPSTREAM names the port of another container.",
    source: "ECS API, ContainerDefinition, field dependsOn (shutdown is reversed); Amazon ECS \
                  agent, shutdown order",
    hint: "Add the upstream container to dependsOn of the proxy, with condition START.",
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
    // proxy names the port of app as its upstream, without a dependency.
    failing: Failing::Change(
        r#""environment": [{ "name": "UPSTREAM", "value": "http://127.0.0.1:8080" }],
      "dependsOn": [{ "containerName": "app", "condition": "START" }]"#,
        r#""environment": [{ "name": "UPSTREAM", "value": "http://127.0.0.1:8080" }]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !shares_network(located) {
        return;
    }
    for edge in proxy_edges(located) {
        let (proxy, behind) = (&edge.proxy.name, &edge.behind.name);
        if reaches(located, proxy, behind) {
            continue;
        }

        let message = format!("`{proxy}` forwards to `{behind}` but is not stopped before it");
        // Another edge would create a cycle, so there is no fix.
        if reaches(located, behind, proxy) {
            let hint = format!("reverse the dependency: `{proxy}` must depend on `{behind}`");
            report.add(edge.address, message, hint);
        } else {
            let hint = format!("add `{behind}` to dependsOn of `{proxy}`, with condition START");
            report.add(edge.address, message, hint);
            report.fix(
                format!("add `{behind}` to dependsOn of `{proxy}`"),
                vec![add_dependency(&edge.pointer, edge.proxy, behind)],
            );
        }
    }
}
