use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H03",
    name: "probe-overlap",
    severity: Severity::Warning,
    title: "health check timeout exceeds its interval",
    explanation: "If the timeout is as long as the interval, a check that hangs delays all later \
                  ones, and the container becomes unhealthy much later than the settings suggest.",
    source: "AWS CDK, health check validation",
    hint: "Make timeout shorter than interval.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10, "timeout": 5 },
      "memory": 128
    }
  ]
}"#,
    // Interval and timeout are equal.
    failing: Failing::Change(r#""interval": 10"#, r#""interval": 5"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(check) = &container.health_check else {
            continue;
        };
        let (interval, timeout) = (check.interval.unwrap_or(30), check.timeout.unwrap_or(5));

        if timeout >= interval {
            let message = format!(
                "the health check of `{}` has a timeout of {timeout} s and an interval of {interval} s",
                container.name
            );
            // The finding points to the value that the definition contains.
            let field = if check.timeout.is_some() {
                "timeout"
            } else {
                "interval"
            };

            report.add(
                format!("{pointer}/healthCheck/{field}"),
                message,
                "make `timeout` shorter",
            );
        }
    }
}
