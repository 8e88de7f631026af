use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R04",
    name: "memory-below-reservation",
    severity: Severity::Error,
    title: "memory is not greater than memoryReservation",
    explanation: "memory is where the container is killed, memoryReservation what is set aside \
                  for it. With both, the first must be the greater.",
    source: "ECS API, ContainerDefinition, field memory",
    hint: "Raise memory, or lower memoryReservation, or leave one of them out.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 256, "memoryReservation": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128, "memoryReservation": 256 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let (Some(limit), Some(reserved)) = (one.memory, one.memory_reservation) else {
            continue;
        };
        let pointer = format!("{pointer}/memoryReservation");

        if reserved > limit {
            let message = format!(
                "`{}` reserves {reserved} MiB and is killed at {limit}",
                one.name
            );
            report.add(
                pointer,
                message,
                "raise `memory`, or lower `memoryReservation`",
            );
        } else if reserved == limit {
            let message = format!("`{}` reserves exactly its limit of {limit} MiB", one.name);
            let hint = "leave out `memoryReservation`, which says nothing more";
            report.warn(pointer.clone(), message, hint);
            report.fix("remove `memoryReservation`", vec![Edit::Remove(pointer)]);
        }
    }
}
