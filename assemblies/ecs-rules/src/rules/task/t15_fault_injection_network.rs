use diagnostics::Severity;
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::shared::is_platform_known;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T15",
    name: "fault-injection-network",
    severity: Severity::Error,
    title: "fault injection without network mode awsvpc or host",
    explanation: "enableFaultInjection lets a fault-injection tool impair the task's network. ECS \
                  supports it in network modes awsvpc and host only.",
    source: "ECS API, RegisterTaskDefinition, field enableFaultInjection",
    hint: "Write \"networkMode\": \"awsvpc\", or remove enableFaultInjection.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "enableFaultInjection": true,
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // bridge on EC2.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "networkMode": "bridge",
  "enableFaultInjection": true,
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let mode = definition.network_mode.as_deref().unwrap_or("bridge");
    // A placeholder for the mode or the platform may become a supported value.
    let is_requested = definition.enable_fault_injection == Some(true)
        && is_platform_known(located)
        && find_placeholder(mode).is_none();
    if is_requested && !definition.is_fargate() && !matches!(mode, "awsvpc" | "host") {
        let message = format!("faults cannot be injected in network mode `{mode}`");
        let hint = "write \"networkMode\": \"awsvpc\", or remove `enableFaultInjection`";
        report.add("/enableFaultInjection", message, hint);
    }
}
