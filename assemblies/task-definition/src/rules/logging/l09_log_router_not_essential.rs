use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L09",
    name: "log-router-not-essential",
    severity: Severity::Warning,
    title: "log router is not essential",
    explanation: "When a router that is not essential ends, the task goes on and its log is \
                  lost. ECS's own examples make it essential. A dependsOn is not needed: the agent \
                  itself lets whoever logs with awsfirelens wait for the start of the router.",
    source: "ECS developer guide, FireLens, example task definitions; Amazon ECS agent, FireLens \
                  setup",
    hint: "Remove \"essential\": false from the router, or give it a restart policy.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "router",
      "image": "fluent-bit:1",
      "essential": false,
      "firelensConfiguration": { "type": "fluentbit" }
    },
    { "name": "app", "image": "app:1", "logConfiguration": { "logDriver": "awsfirelens" } }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let restarts = one
            .restart_policy
            .as_ref()
            .is_some_and(|policy| policy.enabled);
        if one.firelens_configuration.is_some() && !one.is_essential() && !restarts {
            let message = format!("when the log router `{}` ends, the log is lost", one.name);
            let hint = "remove \"essential\": false, or give it a restart policy with \"restartAttemptPeriod\": 60";
            report.add(format!("{pointer}/essential"), message, hint);
        }
    }
}
