use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, edges, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F05",
    name: "restart-without-period",
    severity: Severity::Warning,
    title: "restart policy without restartAttemptPeriod",
    explanation: "A restart policy restarts a container only if it ran for restartAttemptPeriod \
                  seconds: 300 by default, at least 60. A non-essential sidecar that exits earlier, \
                  for example because its backend was not ready, stays stopped for the rest of the \
                  task, and nothing reports it.",
    source: "ECS API, ContainerRestartPolicy, field restartAttemptPeriod; Amazon ECS agent, \
                  restart tracker",
    hint: "Set restartAttemptPeriod; the minimum is 60.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    {
      "name": "helper",
      "image": "helper:1",
      "essential": false,
      "restartPolicy": { "enabled": true, "restartAttemptPeriod": 60 },
      "memory": 128
    }
  ]
}"#,
    // The default period of 300 s applies.
    failing: Failing::Change(
        r#""enabled": true, "restartAttemptPeriod": 60"#,
        r#""enabled": true"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let policy = container.restart_policy.as_ref();
        let uses_default =
            policy.is_some_and(|policy| policy.enabled && policy.restart_attempt_period.is_none());

        // An awaited container is C13's.
        let is_awaited = edges(located)
            .any(|edge| edge.target == container.name && waits_for_exit(edge.condition));
        if uses_default && !container.is_essential() && !is_awaited {
            let message = format!(
                "`{}` is not restarted if it exits within its first 300 s",
                container.name
            );
            let hint = "add \"restartAttemptPeriod\": 60, or a longer time";
            report.add(format!("{pointer}/restartPolicy"), message, hint);
        }
    }
}
