use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, is_platform_known};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R07",
    name: "missing-memory",
    severity: Severity::Error,
    title: "memory missing on task and container",
    explanation: "Without a memory value on the task, every container needs memory or \
                  memoryReservation.",
    source: "ECS API, ContainerDefinition, field memoryReservation",
    hint: "Set memory on the container.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memoryReservation": 64 }]
}"#,
    // Neither the task nor the container sets memory.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    // On Fargate the task always has memory (T05).
    if definition.memory.is_some() || definition.is_fargate() || !is_platform_known(located) {
        return;
    }

    for (pointer, container) in containers(located) {
        if container.memory.is_none() && container.memory_reservation.is_none() {
            let message = format!("neither the task nor `{}` sets memory", container.name);
            let hint = "add \"memory\": 128 to the container, or memory to the task";
            report.add(format!("{pointer}/memory"), message, hint);
        }
    }
}
