use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R04",
    name: "memory-below-reservation",
    severity: Severity::Error,
    title: "memory is not greater than memoryReservation",
    explanation: "memory is the limit at which the container is killed, memoryReservation the amount \
                  reserved for it. If both are set, memory must be greater.",
    source: "ECS API, ContainerDefinition, field memory",
    hint: "Raise memory, lower memoryReservation, or remove one of them.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 256, "memoryReservation": 128 }]
}"#,
    // The two values are swapped.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128, "memoryReservation": 256 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let (Some(limit), Some(reserved)) = (container.memory, container.memory_reservation) else {
            continue;
        };
        let pointer = format!("{pointer}/memoryReservation");

        if reserved > limit {
            let message = format!(
                "`{}` reserves {reserved} MiB, but its limit is {limit} MiB",
                container.name
            );
            report.add(
                pointer,
                message,
                "raise `memory`, or lower `memoryReservation`",
            );
        // The API documentation requires memory to be greater, but equal values behave like memory
        // alone.
        } else if reserved == limit {
            let message = format!(
                "`{}` reserves exactly its limit of {limit} MiB",
                container.name
            );
            let hint = "remove `memoryReservation`, which has no effect";
            report.warn(pointer.clone(), message, hint);
            report.fix("remove `memoryReservation`", vec![Edit::Remove(pointer)]);
        }
    }
}
