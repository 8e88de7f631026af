use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L09",
    name: "log-router-not-essential",
    severity: Severity::Warning,
    title: "log router is not essential",
    explanation: "When a non-essential log router exits, the task continues and its log is lost. The \
                  examples of ECS make it essential. dependsOn is not needed: the agent starts \
                  containers with awsfirelens after the router.",
    source: "ECS developer guide, FireLens, example task definitions; Amazon ECS agent, \
                  FireLens setup",
    hint: "Remove \"essential\": false from the router, or add a restart policy.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "router",
      "image": "fluent-bit:1",
      "firelensConfiguration": { "type": "fluentbit" }
    },
    { "name": "app", "image": "app:1", "logConfiguration": { "logDriver": "awsfirelens" } }
  ]
}"#,
    // The router is not essential and has no restart policy.
    failing: Failing::Change(
        r#""image": "fluent-bit:1""#,
        r#""image": "fluent-bit:1",
      "essential": false"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        // A restart policy limits the loss to the time of the restart.
        let has_restart_policy = container
            .restart_policy
            .as_ref()
            .is_some_and(|policy| policy.enabled);
        if container.firelens_configuration.is_some()
            && !container.is_essential()
            && !has_restart_policy
        {
            let message = format!(
                "when the log router `{}` ends, the log is lost",
                container.name
            );
            let hint = "remove \"essential\": false, or give it a restart policy with \"restartAttemptPeriod\": 60";
            report.add(format!("{pointer}/essential"), message, hint);
        }
    }
}
