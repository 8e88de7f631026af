use diagnostics::Severity;
use task_definition::LocatedDefinition;
use task_definition::fargate_sizes::smallest;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T05",
    name: "missing-size",
    severity: Severity::Error,
    title: "cpu or memory of the task is missing",
    explanation: "Fargate allocates a task by its size, so the task must set cpu and memory. Values \
                  on containers divide that size and do not replace it. ECS rejects the definition \
                  with \"Fargate requires that 'cpu' be defined at the task level.\"",
    source: "ECS API, RegisterTaskDefinition, fields cpu and memory; cfn-lint E3048",
    hint: "Set \"cpu\" and \"memory\" beside \"family\".",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // cpu is missing.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if !definition.is_fargate() {
        return;
    }

    let fields = [("cpu", &definition.cpu), ("memory", &definition.memory)];
    for (name, _) in fields.into_iter().filter(|(_, value)| value.is_none()) {
        let message = format!("the task has no `{name}`, which Fargate requires");
        let hint = format!(
            "add \"{name}\" beside \"family\"; {}",
            suggest_size(located)
        );
        report.add_missing(
            &format!("/{name}"),
            "/requiresCompatibilities",
            message,
            hint,
        );
    }
}

/// Describes the smallest size for the values of the containers.
fn suggest_size(located: &LocatedDefinition) -> String {
    let containers = &located.definition.container_definitions;
    // The values come from the user and may add up to more than u32::MAX.
    let sum = u32::saturating_add;
    let cpu = containers
        .iter()
        .filter_map(|container| container.cpu)
        .fold(0, sum);
    let memory = containers
        .iter()
        .filter_map(|container| container.memory_reservation.or(container.memory))
        .fold(0, sum);

    match smallest(cpu, memory) {
        Some(size) => format!("the containers fit into {} / {}", size.cpu, size.memory),
        None => "see the table of Fargate sizes".to_owned(),
    }
}
