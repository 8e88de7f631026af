use serde_json::json;

use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T08",
    name: "unsupported-pid-mode",
    severity: Severity::Error,
    title: "pidMode is not supported on this platform",
    explanation: "pidMode task lets the containers of a task see each other's processes. host \
                  would show those of the machine, which on Fargate is not yours.",
    source: "ECS API, RegisterTaskDefinition, field pidMode",
    hint: "Write \"pidMode\": \"task\", or leave it out.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "pidMode": "task",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "pidMode": "host",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    check: Check::Definition(check),
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
            "Windows containers on Fargate have no pidMode",
            "remove `pidMode`",
        );
        report.fix(
            "remove `pidMode`",
            vec![Edit::Remove("/pidMode".to_owned())],
        );
    } else if mode != "task" {
        let message = format!("pidMode is `{mode}`; Fargate only has task");
        report.add(
            "/pidMode",
            message,
            "write \"pidMode\": \"task\", or remove it",
        );
        let edits = vec![Edit::Set("/pidMode".to_owned(), json!("task"))];
        report.fix("share processes within the task only", edits);
    }
}
