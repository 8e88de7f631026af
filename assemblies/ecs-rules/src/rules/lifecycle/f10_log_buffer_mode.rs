use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F10",
    name: "log-buffer-mode",
    severity: Severity::Warning,
    title: "max-buffer-size without non-blocking mode",
    explanation: "In non-blocking mode, log lines wait in a buffer of max-buffer-size, and lines \
                  that do not fit are dropped. Blocking mode has no buffer: the program waits while \
                  CloudWatch does not accept its lines. A buffer size beside blocking mode is \
                  therefore a contradiction. Since 25 June 2025 the default is non-blocking with 10 \
                  MiB, unless an account setting differs, so a definition that must not lose logs \
                  sets blocking.",
    source: "ECS API, LogConfiguration, options mode and max-buffer-size",
    hint: "Remove max-buffer-size, or set non-blocking mode.",
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
    // A buffer size beside blocking mode.
    failing: Failing::Change(r#""mode": "non-blocking""#, r#""mode": "blocking""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, log) in logs(located) {
        let option = |name: &str| log.options.get(name).map(String::as_str);
        // Other drivers have other buffer options.
        let Some(size) = option("max-buffer-size").filter(|_| log.log_driver == "awslogs") else {
            continue;
        };
        let pointer = format!("{pointer}/options/max-buffer-size");

        if option("mode") == Some("blocking") {
            let message = format!(
                "the log of `{}` is in blocking mode, which has no buffer",
                container.name
            );
            report.add(
                pointer,
                message,
                "remove it, or write \"mode\": \"non-blocking\"",
            );
        } else if !is_size(size) {
            let message = format!("`{size}` is not a buffer size");
            report.add(pointer, message, "write a number with k, m or g, as in 25m");
        }
    }
}

fn is_size(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_lowercase();
    let is_positive = digits.parse::<u64>().is_ok_and(|number| number > 0);
    is_positive
        && matches!(
            unit.as_str(),
            "" | "b" | "k" | "kb" | "m" | "mb" | "g" | "gb"
        )
}
