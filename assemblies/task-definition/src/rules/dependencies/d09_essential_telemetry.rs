use crate::container::ContainerDefinition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::images::is_telemetry_agent;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D09",
    name: "essential-telemetry",
    severity: Severity::Warning,
    title: "telemetry sidecar is essential",
    explanation: "When an essential container ends, the task ends. A collector of metrics, traces \
                  or logs that crashes should cost its numbers, not the answers of the app. Known \
                  by the names of well-known images; the log router of FireLens has L09.",
    source: "ECS API, ContainerDefinition, field essential; aws/copilot-cli#4179",
    hint: "Write \"essential\": false beside the collector, or give it a restart policy.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "otel", "image": "aws-otel-collector:v0.43.0", "memory": 64, "essential": false }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "otel", "image": "aws-otel-collector:v0.43.0", "memory": 64 }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let mut all = containers(located);
    // A task of watchers only exists for them.
    if !all.any(|(_, one)| one.is_essential() && !is_telemetry_agent(one) && !routes(one)) {
        return;
    }

    for (pointer, one) in containers(located) {
        let restarts = one
            .restart_policy
            .as_ref()
            .is_some_and(|policy| policy.enabled);
        if one.is_essential() && is_telemetry_agent(one) && !restarts {
            let message = format!("when `{}` ends, the whole task ends with it", one.name);
            let hint = "write \"essential\": false, or give it a restart policy with \"restartAttemptPeriod\": 60";
            let pointer = format!("{pointer}/essential");
            report.add(pointer, message, hint);
        }
    }
}

fn routes(one: &ContainerDefinition) -> bool {
    one.firelens_configuration.is_some()
}
