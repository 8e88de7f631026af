use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L05",
    name: "missing-log-permission",
    severity: Severity::Warning,
    title: "awslogs-create-group without logs:CreateLogGroup",
    explanation: "With awslogs-create-group the execution role creates the group. The managed policy \
                  AmazonECSTaskExecutionRolePolicy does not include logs:CreateLogGroup, so the task \
                  stops before it starts unless the permission was added. A group created this way \
                  keeps its logs forever.",
    source: "ECS API, LogConfiguration, option awslogs-create-group",
    hint: "Create the group beside the definition, or add logs:CreateLogGroup.",
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
    // The group is created at startup.
    failing: Failing::Change(
        r#""awslogs-stream-prefix": "app""#,
        r#""awslogs-stream-prefix": "app",
          "awslogs-create-group": "true""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let creators = logs(located).filter(|(_, _, log)| {
        let option = log.options.get("awslogs-create-group");
        log.log_driver == "awslogs" && option.is_some_and(|value| value == "true")
    });

    // All containers share the execution role, so one finding is enough.
    let all: Vec<_> = creators.collect();
    let Some((pointer, first, _)) = all.first() else {
        return;
    };
    let subject = match all.len() - 1 {
        0 => format!("`{}` creates its log group", first.name),
        1 => format!(
            "`{}` and another container create their log group",
            first.name
        ),
        more => format!(
            "`{}` and {more} other containers create their log group",
            first.name
        ),
    };

    let message = format!("{subject}, for which the execution role needs logs:CreateLogGroup");
    let hint = "create the group beside the definition, or add that permission to the role";
    report.add(
        format!("{pointer}/options/awslogs-create-group"),
        message,
        hint,
    );
}
