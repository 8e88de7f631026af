use super::{Report, Rule, containers, knows_platform};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "R07",
    severity: Severity::Error,
    title: "without memory of the task every container has its own",
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
    check,
};

fn check(located: &Located, report: &mut Report) {
    let definition = &located.definition;
    if definition.memory.is_some() || definition.is_fargate() || !knows_platform(located) {
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
