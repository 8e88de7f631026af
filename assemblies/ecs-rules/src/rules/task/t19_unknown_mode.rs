use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T19",
    name: "unknown-mode",
    severity: Severity::Error,
    title: "unknown mode or compatibility",
    explanation: "networkMode, pidMode, ipcMode and requiresCompatibilities accept fixed, \
                  case-sensitive values.",
    source: "ECS API, RegisterTaskDefinition, enumerations; cfn-lint E3030",
    hint: "Use one of the values in the message.",
    passing: r#"{
  "family": "web",
  "networkMode": "awsvpc",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // The mode is in upper case.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "networkMode": "AWSVPC",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let network = definition.network_mode.as_deref();

    // T04, T08 and T09 have better messages for Fargate.
    if !definition.is_fargate() {
        report.check_enum(
            "/networkMode",
            network,
            &["bridge", "host", "awsvpc", "none"],
        );
    }

    if !definition.is_fargate() {
        report.check_enum(
            "/pidMode",
            definition.pid_mode.as_deref(),
            &["host", "task"],
        );
        report.check_enum(
            "/ipcMode",
            definition.ipc_mode.as_deref(),
            &["host", "task", "none"],
        );
    }

    for (index, compatibility) in definition.requires_compatibilities.iter().enumerate() {
        report.check_enum(
            &format!("/requiresCompatibilities/{index}"),
            Some(compatibility),
            &COMPATIBILITIES,
        );
    }
}

const COMPATIBILITIES: [&str; 4] = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
