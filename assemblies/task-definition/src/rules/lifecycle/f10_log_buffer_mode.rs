use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::logs;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F10",
    name: "log-buffer-mode",
    severity: Severity::Warning,
    title: "max-buffer-size without non-blocking mode",
    explanation: "With mode non-blocking lines wait in a buffer of max-buffer-size, and what does \
                  not fit is lost. With blocking there is no buffer: the program waits when \
                  CloudWatch does not take its lines. So a buffer beside blocking says two things at \
                  once. Since 25 June 2025 non-blocking, with 10 MiB, is what a definition gets that \
                  names no mode, unless the account's setting says otherwise: logs can be lost \
                  without a word, and a definition that must not lose any says blocking.",
    source: "ECS API, LogConfiguration, options mode and max-buffer-size",
    hint: "Remove max-buffer-size, or write non-blocking.",
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
          "mode": "non-blocking",
          "max-buffer-size": "25m"
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
          "mode": "blocking",
          "max-buffer-size": "25m"
        }
      }
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one, log) in logs(located) {
        let option = |name: &str| log.options.get(name).map(String::as_str);
        let Some(size) = option("max-buffer-size").filter(|_| log.log_driver == "awslogs") else {
            continue;
        };
        let pointer = format!("{pointer}/options/max-buffer-size");

        if option("mode") == Some("blocking") {
            let message = format!("the log of `{}` is blocking, which has no buffer", one.name);
            report.add(
                pointer,
                message,
                "remove it, or write \"mode\": \"non-blocking\"",
            );
        } else if !is_size(size) {
            let message = format!("`{size}` is no size of a buffer");
            report.add(pointer, message, "write a number with k, m or g, as in 25m");
        }
    }
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_lowercase();
    let number = digits.parse::<u64>().is_ok_and(|number| number > 0);
    number
        && matches!(
            unit.as_str(),
            "" | "b" | "k" | "kb" | "m" | "mb" | "g" | "gb"
        )
}
