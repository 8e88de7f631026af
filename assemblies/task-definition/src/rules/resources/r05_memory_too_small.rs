use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R05",
    name: "memory-too-small",
    severity: Severity::Error,
    title: "container memory is below 6 MiB",
    explanation: "Docker does not start a container with less.",
    source: "ECS API, ContainerDefinition, field memory",
    hint: "Write 6 or more.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 6 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 4 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        for (field, memory) in [
            ("memory", one.memory),
            ("memoryReservation", one.memory_reservation),
        ] {
            if let Some(memory) = memory.filter(|memory| *memory < 6) {
                let message = format!("{field} of `{}` is {memory} MiB; 6 are the least", one.name);
                report.add(
                    format!("{pointer}/{field}"),
                    message,
                    "write 6 or more, or leave it out",
                );
            }
        }
    }
}
