use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T19",
    name: "unknown-mode",
    severity: Severity::Error,
    title: "unknown mode or compatibility",
    explanation: "networkMode, pidMode, ipcMode and requiresCompatibilities each have a few \
                  words, written exactly so.",
    source: "ECS API, RegisterTaskDefinition, enumerations; cfn-lint E3030",
    hint: "Use one of the words in the message.",
    passing: r#"{
  "family": "web",
  "networkMode": "awsvpc",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "networkMode": "AWSVPC",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let network = definition.network_mode.as_deref();

    // Fargate's own rule (T04) says more about it.
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

    for (index, one) in definition.requires_compatibilities.iter().enumerate() {
        report.check_enum(
            &format!("/requiresCompatibilities/{index}"),
            Some(one),
            &PLACES,
        );
    }
}

const PLACES: [&str; 4] = ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
