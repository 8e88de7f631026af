use diagnostics::Severity;
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T18",
    name: "trusted-execution",
    severity: Severity::Error,
    title: "trustedExecutionConfiguration outside Managed Instances",
    explanation: "Only ECS Managed Instances can isolate tasks in a sandbox.",
    source: "ECS API, RegisterTaskDefinition, field trustedExecutionConfiguration",
    hint: "Remove it, or set \"requiresCompatibilities\": [\"MANAGED_INSTANCES\"].",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["MANAGED_INSTANCES"],
  "networkMode": "awsvpc",
  "trustedExecutionConfiguration": { "isolationMode": "ISOLATED_SANDBOX" },
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // Fargate in place of Managed Instances.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "trustedExecutionConfiguration": { "isolationMode": "ISOLATED_SANDBOX" },
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let Some(trusted) = &definition.trusted_execution_configuration else {
        return;
    };
    let pointer = "/trustedExecutionConfiguration";
    // A placeholder may become MANAGED_INSTANCES.
    let elsewhere = definition
        .requires_compatibilities
        .iter()
        .find(|platform| *platform != "MANAGED_INSTANCES" && find_placeholder(platform).is_none());

    if let Some(other) = elsewhere {
        let message = format!("trustedExecutionConfiguration is not supported on {other}");
        report.add(
            pointer,
            message,
            "remove it, or require MANAGED_INSTANCES only",
        );
    }

    let mode = Some(trusted.isolation_mode.as_str());
    report.check_enum(&format!("{pointer}/isolationMode"), mode, &MODES);
}

const MODES: [&str; 3] = ["SHARED", "ISOLATED_SANDBOX", "CONFIDENTIAL_SANDBOX"];
