use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L02",
    name: "awslogs-missing-option",
    severity: Severity::Error,
    title: "awslogs without group or region",
    explanation: "ECS rejects the definition with \"Log driver awslogs requires options: \
                  awslogs-region, awslogs-group\".",
    source: "ECS error message; cfn-lint E3046",
    hint: "Add awslogs-group and awslogs-region.",
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
    // awslogs-region is missing.
    failing: Failing::Change(
        r#""options": {
          "awslogs-group": "/ecs/web",
          "awslogs-region": "eu-central-1",
          "awslogs-stream-prefix": "app"
        }"#,
        r#""options": { "awslogs-group": "/ecs/web", "awslogs-stream-prefix": "app" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, log) in logs(located).filter(|(_, _, log)| log.log_driver == "awslogs")
    {
        // The create-group and prefix options are optional on EC2.
        for option in ["awslogs-group", "awslogs-region"] {
            if !log.options.contains_key(option) {
                let message = format!("the log of `{}` has no `{option}`", container.name);
                let hint = format!("add \"{option}\" to its options");
                report.add(format!("{pointer}/options"), message, hint);
            }
        }
    }
}
