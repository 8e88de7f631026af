use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C12",
    name: "invalid-restart-policy",
    severity: Severity::Error,
    title: "restart policy value is out of range",
    explanation: "A container is restarted only if it ran for restartAttemptPeriod seconds: 60 to \
                  1800, 300 by default. ignoredExitCodes has at most 50 entries.",
    source: "ECS API, ContainerRestartPolicy",
    hint: "Use 60 to 1800 seconds.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "restartPolicy": { "enabled": true, "restartAttemptPeriod": 60 },
      "memory": 128
    }
  ]
}"#,
    // 5 seconds is below the minimum of 60.
    failing: Failing::Change(
        r#""restartAttemptPeriod": 60"#,
        r#""restartAttemptPeriod": 5"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(policy) = &container.restart_policy else {
            continue;
        };
        let pointer = format!("{pointer}/restartPolicy");
        // Without a value the default of 300 is valid.
        let period = policy.restart_attempt_period.unwrap_or(300);

        if !(60..=1800).contains(&period) {
            let message =
                format!("restartAttemptPeriod is {period} seconds; 60 to 1800 are allowed");
            let pointer = format!("{pointer}/restartAttemptPeriod");
            report.add(pointer.clone(), message, "write 60 to 1800");

            // The nearest valid value keeps the intention as far as possible.
            let near = period.clamp(60, 1800);
            report.fix(
                format!("write {near}"),
                vec![Edit::Set(pointer, json!(near))],
            );
        }

        if policy.ignored_exit_codes.len() > 50 {
            let message = format!(
                "{} ignored exit codes; 50 are allowed",
                policy.ignored_exit_codes.len()
            );
            report.add(
                format!("{pointer}/ignoredExitCodes"),
                message,
                "remove some",
            );
        }
    }
}
