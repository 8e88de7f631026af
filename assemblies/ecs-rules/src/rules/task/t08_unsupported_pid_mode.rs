use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T08",
    name: "unsupported-pid-mode",
    severity: Severity::Error,
    title: "pidMode is not supported on this platform",
    explanation: "With pidMode task the containers of a task share a process namespace. pidMode host \
                  exposes the processes of the host, which Fargate does not allow, and Windows \
                  containers on Fargate do not support pidMode.",
    source: "ECS API, RegisterTaskDefinition, field pidMode",
    hint: "Set \"pidMode\": \"task\", or remove it.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "pidMode": "task",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // host would expose the processes of the host.
    failing: Failing::Change(r#""pidMode": "task""#, r#""pidMode": "host""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let Some(mode) = definition
        .pid_mode
        .as_deref()
        .filter(|_| definition.is_fargate())
    else {
        return;
    };

    if definition.is_windows() {
        report.add(
            "/pidMode",
            "Windows containers on Fargate do not support pidMode",
            "remove `pidMode`",
        );
        report.fix(
            "remove `pidMode`",
            vec![Edit::Remove("/pidMode".to_owned())],
        );
    // `host` is the only other value of the API.
    } else if mode != "task" {
        let message = format!("pidMode is `{mode}`; Fargate only supports task");
        report.add(
            "/pidMode",
            message,
            "write \"pidMode\": \"task\", or remove it",
        );
        let edits = vec![Edit::Set("/pidMode".to_owned(), json!("task"))];
        report.fix("set pidMode to task", edits);
    }
}
