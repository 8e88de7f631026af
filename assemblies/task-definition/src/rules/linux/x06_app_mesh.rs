use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X06",
    name: "app-mesh",
    severity: Severity::Warning,
    title: "App Mesh is discontinued",
    explanation: "proxyConfiguration is for App Mesh, which AWS has ended. Service Connect, or a \
                  proxy in the task, does its work.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "proxyConfiguration": { "type": "APPMESH", "containerName": "envoy" },
  "containerDefinitions": [{ "name": "envoy", "image": "envoy:1" }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(proxy) = &located.definition.proxy_configuration else {
        return;
    };
    let message = format!(
        "`{}` is the proxy of App Mesh, which has ended",
        proxy.container_name
    );

    report.add(
        "/proxyConfiguration",
        message,
        "use Service Connect, or a proxy in the ingress",
    );
}
