use diagnostics::Severity;
use task_definition::LocatedDefinition;
use task_definition::fargate_sizes::parse_memory;

use crate::rules::shared::{containers, format_sum, suggest_larger_size};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R02",
    name: "reservations-exceed-task",
    severity: Severity::Error,
    title: "containers reserve more memory than the task has",
    explanation: "memoryReservation counts, or memory for a container without a reservation. ECS \
                  rejects the definition with \"The sum of all container 'memoryReservation' values \
                  cannot be greater than the value of the task 'memory'.\"",
    source: "ECS error message; ECS API, ContainerDefinition, field memoryReservation",
    hint: "Enlarge the task, or reserve less.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 384 },
    { "name": "proxy", "image": "proxy:1", "memory": 128 }
  ]
}"#,
    // Each container fits on its own; the sum does not.
    failing: Failing::Change(r#""memory": 128"#, r#""memory": 256"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(task) = located.definition.memory.as_deref().and_then(parse_memory) else {
        return;
    };
    let reserved: Vec<_> = containers(located)
        .filter_map(|(_, container)| {
            Some((
                container.name.as_str(),
                container.memory_reservation.or(container.memory)?,
            ))
        })
        .collect();
    let sum: u32 = reserved
        .iter()
        .fold(0, |sum, (_, memory)| sum.saturating_add(*memory));

    // A single container above the task's memory is R03's.
    if sum > task && !reserved.iter().any(|(_, memory)| *memory > task) {
        let message = format!("{} MiB; the task has {task}", format_sum(&reserved, sum));
        let hint = suggest_larger_size(&located.definition, 0, sum, "reserve less");
        report.add("/memory", message, hint);
    }
}
