use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, edges, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R06",
    name: "unlimited-sidecar",
    severity: Severity::Warning,
    title: "sidecar without a memory limit beside a limited app",
    explanation: "A container with neither memory nor memoryReservation may use all memory of the \
                  task. If the app has a hard limit and a non-essential sidecar has none, a memory \
                  leak in the sidecar gets the app killed. An app without a limit, which uses the \
                  memory that its sidecars leave, is accepted.",
    source: "ECS API, ContainerDefinition, field memory",
    hint: "Set memory or memoryReservation for the sidecar.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 384 },
    { "name": "helper", "image": "helper:1", "memory": 128, "essential": false }
  ]
}"#,
    // helper has neither memory nor memoryReservation.
    failing: Failing::Change(
        r#""memory": 128, "essential": false"#,
        r#""essential": false"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // Without memory of the task, R07 requires a value on every container.
    if located.definition.memory.is_none() {
        return;
    }

    let mut apps = containers(located).map(|(_, container)| container);
    let Some(limited) =
        apps.find(|container| container.is_essential() && container.memory.is_some())
    else {
        return;
    };

    for (pointer, container) in containers(located) {
        let is_unlimited = container.memory.is_none() && container.memory_reservation.is_none();
        // A container that exits before the app starts uses no memory beside it.
        let exits_first = edges(located)
            .any(|edge| edge.target == container.name && waits_for_exit(edge.condition));
        if is_unlimited && !container.is_essential() && !exits_first {
            let message = format!(
                "`{}` may use all memory of the task and get `{}` killed",
                container.name, limited.name
            );
            let hint = "add \"memory\": 64, or as much as it needs";
            report.add(format!("{pointer}/memory"), message, hint);
        }
    }
}
