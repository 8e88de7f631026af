use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{has_placeholder_names, suggest_container};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X08",
    name: "unknown-proxy-container",
    severity: Severity::Error,
    title: "the proxy container does not exist",
    explanation: "proxyConfiguration names the container that is the proxy. ECS rejects a definition \
                  without that container.",
    source: "ECS API, ProxyConfiguration, field containerName",
    hint: "Name a container of the task.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "envoy", "image": "envoy:1" }]
}"#,
    // No container is called `proxy`.
    failing: Failing::Change(
        r#""memory": "512""#,
        r#""memory": "512",
  "proxyConfiguration": { "type": "APPMESH", "containerName": "proxy" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let Some(proxy) = &definition.proxy_configuration else {
        return;
    };
    let name = &proxy.container_name;
    if definition.container(name).is_some() || has_placeholder_names(located) {
        return;
    }
    let message = format!("the task has no container `{name}` to be its proxy");
    let hint = suggest_container(definition, name);
    report.add("/proxyConfiguration/containerName", message, hint);
}
