use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X06",
    name: "app-mesh",
    severity: Severity::Warning,
    title: "App Mesh is discontinued",
    explanation: "proxyConfiguration belongs to App Mesh, which AWS has discontinued. Service \
                  Connect, or a proxy in the task, replaces it.",
    source: "aws/containers-roadmap, App Mesh end of support",
    hint: "Remove proxyConfiguration.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "envoy", "image": "envoy:1" }]
}"#,
    // The configuration of an Envoy proxy for App Mesh.
    failing: Failing::Change(
        r#""memory": "512""#,
        r#""memory": "512",
  "proxyConfiguration": { "type": "APPMESH", "containerName": "envoy" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(proxy) = &located.definition.proxy_configuration else {
        return;
    };
    // The API still accepts the field, so this is a warning.
    let message = format!(
        "`{}` is the proxy of App Mesh, which is discontinued",
        proxy.container_name
    );

    report.add(
        "/proxyConfiguration",
        message,
        "use Service Connect, or a proxy in the ingress",
    );
}
