use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, edges, waits_for_exit};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R06",
    name: "unlimited-sidecar",
    severity: Severity::Warning,
    title: "sidecar without a memory limit beside a limited app",
    explanation: "A container with neither memory nor memoryReservation may take all the memory of \
                  the task. When the app has a hard limit and a helper that is not essential has \
                  none, the leak of the helper is what the app is killed for. An app without a \
                  limit, which gets what its helpers leave, is no breach.",
    source: "ECS API, ContainerDefinition, field memory",
    hint: "Give the helper memory, or memoryReservation.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 384 },
    { "name": "helper", "image": "helper:1", "essential": false }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    // Without memory of the task R07 asks every container for its own.
    if located.definition.memory.is_none() {
        return;
    }

    let mut apps = containers(located).map(|(_, one)| one);
    let Some(limited) = apps.find(|one| one.is_essential() && one.memory.is_some()) else {
        return;
    };

    for (pointer, one) in containers(located) {
        let unlimited = one.memory.is_none() && one.memory_reservation.is_none();
        // What has ended before the app starts takes nothing from it.
        let over =
            edges(located).any(|edge| edge.target == one.name && waits_for_exit(edge.condition));
        if unlimited && !one.is_essential() && !over {
            let message = format!(
                "`{}` may take all the memory of the task, and `{}` is killed for it",
                one.name, limited.name
            );
            let hint = "add \"memory\": 64, or as much as it needs";
            report.add(format!("{pointer}/memory"), message, hint);
        }
    }
}
