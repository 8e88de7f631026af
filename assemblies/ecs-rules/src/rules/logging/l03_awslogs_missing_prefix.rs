use diagnostics::{Edit, Severity, nearest};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L03",
    name: "awslogs-missing-prefix",
    severity: Severity::Error,
    title: "awslogs without stream prefix on Fargate",
    explanation: "Log streams are named prefix/container/task. Fargate requires the prefix, and ECS \
                  rejects the definition without it.",
    source: "ECS API, LogConfiguration, option awslogs-stream-prefix",
    hint: "Add awslogs-stream-prefix.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "executionRoleArn": "arn:aws:iam::111122223333:role/ecs-execution",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "logConfiguration": {
        "logDriver": "awslogs",
        "options": {
          "awslogs-group": "/ecs/web",
          "awslogs-region": "eu-central-1",
          "awslogs-stream-prefix": "app"
        }
      }
    }
  ]
}"#,
    // awslogs-stream-prefix is missing.
    failing: Failing::Change(
        r#""options": {
          "awslogs-group": "/ecs/web",
          "awslogs-region": "eu-central-1",
          "awslogs-stream-prefix": "app"
        }"#,
        r#""options": { "awslogs-group": "/ecs/web", "awslogs-region": "eu-central-1" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !located.definition.is_fargate() {
        return;
    }
    for (pointer, container, log) in logs(located).filter(|(_, _, log)| log.log_driver == "awslogs")
    {
        if !log.options.contains_key("awslogs-stream-prefix") {
            let message = format!(
                "the log of `{}` has no `awslogs-stream-prefix`",
                container.name
            );
            let hint = format!(
                "add \"awslogs-stream-prefix\": \"{}\" to its options",
                container.name
            );

            report.add(format!("{pointer}/options"), message, hint.clone());
            let prefix = format!("{pointer}/options/awslogs-stream-prefix");

            // A misspelt prefix is L04's, which renames the key.
            let is_misspelt = |option: &String| nearest(option, [PREFIX]).is_some();
            if !log.options.keys().any(is_misspelt) {
                // The container's name is unique in the task and says where a line comes from.
                report.fix(hint, vec![Edit::Set(prefix, json!(container.name))]);
            }
        }
    }
}

const PREFIX: &str = "awslogs-stream-prefix";
