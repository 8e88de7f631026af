use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H02",
    name: "health-check-range",
    severity: Severity::Error,
    title: "health check value is out of range",
    explanation: "The ranges are interval 5 to 300 seconds, timeout 2 to 60, retries 1 to 10 and \
                  startPeriod 0 to 300. Other sources allow a timeout up to 120, so 61 to 120 is a \
                  warning.",
    source: "ECS API, HealthCheck; AWS CDK (timeout up to 120)",
    hint: "Use a value in the range.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 10 },
      "memory": 128
    }
  ]
}"#,
    // retries is above 10.
    failing: Failing::Change(r#""interval": 10"#, r#""retries": 20"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(check) = &container.health_check else {
            continue;
        };
        let times = [
            ("interval", check.interval, 5, 300),
            ("timeout", check.timeout, 2, 120),
            ("retries", check.retries, 1, 10),
            ("startPeriod", check.start_period, 0, 300),
        ];

        for (field, value, min, max) in times {
            let Some(value) = value else { continue };
            let pointer = format!("{pointer}/healthCheck/{field}");
            // The API documents 60; the CDK accepts 120.
            let documented_max = if field == "timeout" { 60 } else { max };
            let message = format!(
                "{field} of the health check of `{}` is {value}; {min} to {documented_max} are allowed",
                container.name
            );
            let hint = format!("write {min} to {documented_max}");

            if !(min..=max).contains(&value) {
                report.add(pointer.clone(), message, hint);
                let nearest = value.clamp(min, documented_max);
                report.fix(
                    format!("write {nearest}"),
                    vec![Edit::Set(pointer, json!(nearest))],
                );
            } else if value > documented_max {
                report.warn(pointer, message, hint);
            }
        }
    }
}
