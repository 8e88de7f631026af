use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T04",
    name: "unsupported-network-mode",
    severity: Severity::Error,
    title: "network mode is not supported on Fargate",
    explanation: "On Fargate each task has its own network interface, which its containers share. \
                  This is network mode awsvpc, and the definition must set it.",
    source: "ECS API, RegisterTaskDefinition, field networkMode; cfn-lint E3048",
    hint: "Write \"networkMode\": \"awsvpc\".",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // bridge is the default on EC2.
    failing: Failing::Change(r#""networkMode": "awsvpc""#, r#""networkMode": "bridge""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if !definition.is_fargate() {
        return;
    }

    let hint = "write \"networkMode\": \"awsvpc\"";
    match definition.network_mode.as_deref() {
        Some("awsvpc") => {}
        Some(other) => {
            let message = format!("the network mode is `{other}`; Fargate only supports awsvpc");
            report.add("/networkMode", message, hint);
        }
        // The default elsewhere is bridge, so awsvpc must be explicit.
        None => report.add_missing(
            "/networkMode",
            "/requiresCompatibilities",
            "the network mode is missing; Fargate only supports awsvpc",
            hint,
        ),
    }

    if definition.network_mode.as_deref() != Some("awsvpc") {
        report.fix(
            "set the network mode to awsvpc",
            vec![Edit::Set("/networkMode".to_owned(), json!("awsvpc"))],
        );
    }
}
