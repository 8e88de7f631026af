use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::logs;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L05",
    name: "missing-log-permission",
    severity: Severity::Warning,
    title: "awslogs-create-group without logs:CreateLogGroup",
    explanation: "awslogs-create-group lets the execution role make the group. The managed \
                  policy AmazonECSTaskExecutionRolePolicy does not hold logs:CreateLogGroup, so \
                  the task stops before it starts unless the right was added. A group that is \
                  made so also keeps its logs for ever.",
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
    failing: r#"{
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
          "awslogs-stream-prefix": "app",
          "awslogs-create-group": "true"
        }
      }
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let makes = logs(located).filter(|(_, _, log)| {
        let wanted = log.options.get("awslogs-create-group");
        log.log_driver == "awslogs" && wanted.is_some_and(|value| value == "true")
    });

    // The role is the same for all of them.
    let all: Vec<_> = makes.collect();
    let Some((pointer, first, _)) = all.first() else {
        return;
    };
    let who = match all.len() - 1 {
        0 => format!("`{}` makes its log group", first.name),
        1 => format!(
            "`{}` and another container make their log group",
            first.name
        ),
        more => format!(
            "`{}` and {more} other containers make their log group",
            first.name
        ),
    };

    let message = format!("{who}, for which the execution role needs logs:CreateLogGroup");
    let hint = "create the group beside the definition, or add that right to the role";
    report.add(
        format!("{pointer}/options/awslogs-create-group"),
        message,
        hint,
    );
}
