use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R05",
    name: "memory-too-small",
    severity: Severity::Error,
    title: "container memory is below 6 MiB",
    explanation: "Docker does not start a container with less than 6 MiB.",
    source: "ECS API, ContainerDefinition, field memory",
    hint: "Use 6 or more.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 6 }]
}"#,
    // 4 MiB.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 4 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        // Docker's minimum applies to the limit and to the reservation.
        for (field, memory) in [
            ("memory", container.memory),
            ("memoryReservation", container.memory_reservation),
        ] {
            if let Some(memory) = memory.filter(|memory| *memory < 6) {
                let message = format!(
                    "{field} of `{}` is {memory} MiB; the minimum is 6",
                    container.name
                );
                report.add(
                    format!("{pointer}/{field}"),
                    message,
                    "write 6 or more, or remove it",
                );
            }
        }
    }
}
