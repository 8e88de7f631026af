use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D09",
    name: "essential-telemetry",
    severity: Severity::Warning,
    title: "telemetry sidecar is essential",
    explanation: "When an essential container exits, the task stops. A collector of metrics, traces \
                  or logs that crashes should not stop the app. The rule recognizes well-known \
                  images by name; L09 covers the FireLens log router.",
    source: "ECS API, ContainerDefinition, field essential; aws/copilot-cli#4179",
    hint: "Set \"essential\": false for the collector, or add a restart policy.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    { "name": "otel", "image": "aws-otel-collector:v0.43.0", "memory": 64, "essential": false }
  ]
}"#,
    // The collector is essential by default.
    failing: Failing::Change(r#""memory": 64, "essential": false"#, r#""memory": 64"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    let mut all = containers(located);
    // A task of telemetry agents only exists for them.
    if !all.any(|(_, container)| {
        container.is_essential()
            && !images.is_telemetry_agent(container)
            && !is_log_router(container)
    }) {
        return;
    }

    for (pointer, container) in containers(located) {
        let has_restart_policy = container
            .restart_policy
            .as_ref()
            .is_some_and(|policy| policy.enabled);
        if container.is_essential() && images.is_telemetry_agent(container) && !has_restart_policy {
            let message = format!("when `{}` exits, the task stops", container.name);
            let hint = "write \"essential\": false, or give it a restart policy with \"restartAttemptPeriod\": 60";
            let pointer = format!("{pointer}/essential");
            report.add(pointer, message, hint);
        }
    }
}

fn is_log_router(container: &ContainerDefinition) -> bool {
    container.firelens_configuration.is_some()
}
