use crate::fargate_sizes::smallest;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T05",
    name: "missing-size",
    severity: Severity::Error,
    title: "cpu or memory of the task is missing",
    explanation: "Fargate sells machines by the size of the task, so the task must have one. \
                  What containers ask for is set against it, and is not enough by itself. The \
                  answer of ECS is \"Fargate requires that 'cpu' be defined at the task level.\"",
    source: "ECS API, RegisterTaskDefinition, fields cpu and memory; cfn-lint E3048",
    hint: "Write \"cpu\" and \"memory\" beside \"family\".",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if !definition.is_fargate() {
        return;
    }

    let fields = [("cpu", &definition.cpu), ("memory", &definition.memory)];
    for (name, _) in fields.into_iter().filter(|(_, value)| value.is_none()) {
        let message = format!("the task has no `{name}`; Fargate sells tasks by size");
        let hint = format!("add \"{name}\" beside \"family\"; {}", enough(located));
        report.add_missing(
            &format!("/{name}"),
            "/requiresCompatibilities",
            message,
            hint,
        );
    }
}

/// The size that the containers would need.
fn enough(located: &LocatedDefinition) -> String {
    let containers = &located.definition.container_definitions;
    let sum = u32::saturating_add;
    let cpu = containers.iter().filter_map(|one| one.cpu).fold(0, sum);
    let memory = containers
        .iter()
        .filter_map(|one| one.memory_reservation.or(one.memory))
        .fold(0, sum);

    match smallest(cpu, memory) {
        Some(size) => format!("the containers fit into {} / {}", size.cpu, size.memory),
        None => "see the table of Fargate sizes".to_owned(),
    }
}
