use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, is_platform_known};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R07",
    name: "missing-memory",
    severity: Severity::Error,
    title: "memory missing on task and container",
    explanation: "Somebody must say how much memory is needed: the task, or each container by \
                  memory or memoryReservation.",
    source: "ECS API, ContainerDefinition, field memoryReservation",
    hint: "Add memory to the container.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memoryReservation": 64 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if definition.memory.is_some() || definition.is_fargate() || !is_platform_known(located) {
        return;
    }

    for (pointer, one) in containers(located) {
        if one.memory.is_none() && one.memory_reservation.is_none() {
            let message = format!(
                "neither the task nor `{}` says how much memory it needs",
                one.name
            );
            let hint = "add \"memory\": 128 to the container, or memory to the task";
            report.add(format!("{pointer}/memory"), message, hint);
        }
    }
}
