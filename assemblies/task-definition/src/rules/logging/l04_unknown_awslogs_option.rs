use crate::finding::Severity;
use crate::location::escape;
use crate::read::LocatedDefinition;
use crate::rules::shared::logs;
use crate::rules::{Check, Report, Rule};
use crate::spelling::nearest;

pub(super) const RULE: Rule = Rule {
    id: "L04",
    name: "unknown-awslogs-option",
    severity: Severity::Error,
    title: "unknown awslogs option",
    explanation: "An option it does not know stops the container from starting. awslogs- \
                  datetime-format and awslogs-multiline-pattern are two ways to say where a \
                  message begins, so only one may stand; mode is blocking or non-blocking.",
    source: "ECS API, LogConfiguration; cfn-lint E3046",
    hint: "Correct the spelling, or remove the option.",
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
          "awslogs-stream-prefix": "app",
          "mode": "non-blocking"
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
          "awslogs-stream": "app"
        }
      }
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one, log) in logs(located).filter(|(_, _, log)| log.log_driver == "awslogs") {
        let pointer = format!("{pointer}/options");
        for option in log
            .options
            .keys()
            .filter(|option| !OPTIONS.contains(&option.as_str()))
        {
            let meant = nearest(option, OPTIONS);
            let hint = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("choose one of {}", OPTIONS.join(", ")),
            };

            let message = format!("awslogs has no option `{option}` (in `{}`)", one.name);
            report.add(format!("{pointer}/{}", escape(option)), message, hint);
            report.fix_key(&pointer, &log.options, option, meant);
        }

        let mode = log.options.get("mode").map(String::as_str);
        report.check_enum(
            &format!("{pointer}/mode"),
            mode,
            &["blocking", "non-blocking"],
        );

        let begins = ["awslogs-datetime-format", "awslogs-multiline-pattern"];
        if begins
            .iter()
            .all(|option| log.options.contains_key(*option))
        {
            let message = format!(
                "the log of `{}` has both {}",
                one.name,
                begins.join(" and ")
            );
            report.add(
                format!("{pointer}/{}", begins[1]),
                message,
                "keep one of them",
            );
        }
    }
}

const OPTIONS: [&str; 8] = [
    "awslogs-group",
    "awslogs-region",
    "awslogs-stream-prefix",
    "awslogs-create-group",
    "awslogs-datetime-format",
    "awslogs-multiline-pattern",
    "mode",
    "max-buffer-size",
];
