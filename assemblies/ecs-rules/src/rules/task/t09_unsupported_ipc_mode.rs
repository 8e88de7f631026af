use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T09",
    name: "unsupported-ipc-mode",
    severity: Severity::Error,
    title: "ipcMode is not supported on Fargate",
    explanation: "Fargate does not let a task choose the namespace of shared memory and semaphores.",
    source: "ECS API, RegisterTaskDefinition, field ipcMode",
    hint: "Remove ipcMode.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // Fargate rejects any value.
    failing: Failing::Change(
        r#""memory": "512""#,
        r#""memory": "512",
  "ipcMode": "task""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if definition.is_fargate() && definition.ipc_mode.is_some() {
        report.add(
            "/ipcMode",
            "ipcMode is not supported on Fargate",
            "remove `ipcMode`",
        );
        // Removing the field restores the only behavior that Fargate has.
        report.fix(
            "remove `ipcMode`",
            vec![Edit::Remove("/ipcMode".to_owned())],
        );
    }
}
