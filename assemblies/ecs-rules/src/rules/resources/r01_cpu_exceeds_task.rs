use diagnostics::Severity;
use task_definition::LocatedDefinition;
use task_definition::fargate_sizes::parse_cpu;

use crate::rules::shared::{containers, format_sum, suggest_larger_size};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "R01",
    name: "cpu-exceeds-task",
    severity: Severity::Error,
    title: "containers request more CPU than the task has",
    explanation: "ECS rejects the definition with \"The sum of all container 'cpu' values cannot be \
                  greater than the value of the task 'cpu'.\"",
    source: "ECS error message; ECS API, ContainerDefinition, field cpu",
    hint: "Enlarge the task, or give containers less.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "cpu": 192 },
    { "name": "proxy", "image": "proxy:1", "cpu": 64 }
  ]
}"#,
    // 192 and 128 units exceed 256.
    failing: Failing::Change(r#""cpu": 64"#, r#""cpu": 128"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let Some(task) = definition.cpu.as_deref().and_then(parse_cpu) else {
        return;
    };
    let requested: Vec<_> = containers(located)
        .filter_map(|(_, container)| Some((container.name.as_str(), container.cpu?)))
        .collect();
    let sum: u32 = requested
        .iter()
        .fold(0, |sum, (_, cpu)| sum.saturating_add(*cpu));

    // Containers without cpu share the rest and do not count.
    if sum > task {
        let message = format!(
            "{} CPU units; the task has {task}",
            format_sum(&requested, sum)
        );
        let hint = suggest_larger_size(&located.definition, sum, 0, "give containers less CPU");
        report.add("/cpu", message, hint);
    }
}
