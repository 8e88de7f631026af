use diagnostics::{Severity, escape, nearest};
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L04",
    name: "unknown-awslogs-option",
    severity: Severity::Error,
    title: "unknown awslogs option",
    explanation: "The container does not start with an unknown option. awslogs-datetime-format and \
                  awslogs-multiline-pattern both define where a message begins, so only one of them \
                  may be set. mode is blocking or non-blocking.",
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
    // awslogs-stream is an option of Docker's driver that ECS does not support.
    failing: Failing::Change(r#""mode": "non-blocking""#, r#""awslogs-stream": "app""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, log) in logs(located).filter(|(_, _, log)| log.log_driver == "awslogs")
    {
        let pointer = format!("{pointer}/options");
        for option in log
            .options
            .keys()
            .filter(|option| !OPTIONS.contains(&option.as_str()))
        {
            let suggestion = nearest(option, OPTIONS);
            let hint = match suggestion {
                Some(suggestion) => format!("did you mean `{suggestion}`?"),
                None => format!("choose one of {}", OPTIONS.join(", ")),
            };

            let message = format!("awslogs has no option `{option}` (in `{}`)", container.name);
            report.add(format!("{pointer}/{}", escape(option)), message, hint);
            // The fix keeps the value under the corrected name.
            report.fix_key(&pointer, &log.options, option, suggestion);
        }

        let mode = log.options.get("mode").map(String::as_str);
        report.check_enum(
            &format!("{pointer}/mode"),
            mode,
            &["blocking", "non-blocking"],
        );

        // The driver fails with both, because each defines where a message begins.
        let start_options = ["awslogs-datetime-format", "awslogs-multiline-pattern"];
        if start_options
            .iter()
            .all(|option| log.options.contains_key(*option))
        {
            let message = format!(
                "the log of `{}` has both {}",
                container.name,
                start_options.join(" and ")
            );
            report.add(
                format!("{pointer}/{}", start_options[1]),
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
