use diagnostics::Severity;
use task_definition::LocatedDefinition;
use task_definition::fargate_sizes::parse_memory;

use crate::rules::shared::{containers, suggest_larger_size};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R03",
    name: "memory-exceeds-task",
    severity: Severity::Error,
    title: "container memory exceeds the task memory",
    explanation: "ECS rejects the definition with \"The 'memory' setting for container is greater \
                  than for the task.\"",
    source: "ECS error message",
    hint: "Enlarge the task, or give the container less.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 512 }]
}"#,
    // 1024 MiB in a task of 512 MiB.
    failing: Failing::Change(r#""memory": 512"#, r#""memory": 1024"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(task) = located.definition.memory.as_deref().and_then(parse_memory) else {
        return;
    };

    for (pointer, container) in containers(located) {
        // ECS compares both values with the task's memory.
        for (field, memory) in [
            ("memory", container.memory),
            ("memoryReservation", container.memory_reservation),
        ] {
            let Some(memory) = memory.filter(|memory| *memory > task) else {
                continue;
            };
            let message = format!(
                "{field} of `{}` is {memory} MiB; the whole task has {task}",
                container.name
            );
            let hint = suggest_larger_size(&located.definition, 0, memory, "give it less");
            report.add(format!("{pointer}/{field}"), message, hint);
        }
    }
}
