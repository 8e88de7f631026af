use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T11",
    name: "accelerator",
    severity: Severity::Error,
    title: "GPUs and accelerators are not supported",
    explanation: "Accelerators belong to EC2 instances. A Fargate task with one is refused.",
    source: "ECS API, RegisterTaskDefinition, fields inferenceAccelerators and \
                  resourceRequirements; developer guide, Fargate",
    hint: "Remove the accelerator, or use EC2 or Managed Instances.",
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
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "resourceRequirements": [{ "type": "GPU", "value": "1" }]
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !located.definition.is_fargate() {
        return;
    }

    let hint = "remove it, or run the task on EC2 or Managed Instances";
    if !located.definition.inference_accelerators.is_empty() {
        report.add(
            "/inferenceAccelerators",
            "Fargate has no inference accelerators",
            hint,
        );
    }

    for (pointer, container) in containers(located) {
        for (index, wanted) in container.resource_requirements.iter().enumerate() {
            let pointer = format!("{pointer}/resourceRequirements/{index}");
            let message = format!(
                "`{}` wants a {}; Fargate has none",
                container.name, wanted.kind
            );
            report.add(pointer, message, hint);
        }
    }
}
