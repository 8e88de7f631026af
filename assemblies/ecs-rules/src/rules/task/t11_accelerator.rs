use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T11",
    name: "accelerator",
    severity: Severity::Error,
    title: "GPUs and accelerators are not supported",
    explanation: "Accelerators are attached to EC2 instances. ECS rejects a Fargate task that \
                  requests one.",
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
    // A GPU on Fargate.
    failing: Failing::Change(
        r#""containerDefinitions": [{ "name": "app", "image": "app:1" }]"#,
        r#""containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "resourceRequirements": [{ "type": "GPU", "value": "1" }]
    }
  ]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !located.definition.is_fargate() {
        return;
    }

    let hint = "remove it, or run the task on EC2 or Managed Instances";
    if !located.definition.inference_accelerators.is_empty() {
        report.add(
            "/inferenceAccelerators",
            "Fargate does not support inference accelerators",
            hint,
        );
    }

    // GPUs and Neuron devices are requested per container.
    for (pointer, container) in containers(located) {
        for (index, requirement) in container.resource_requirements.iter().enumerate() {
            let pointer = format!("{pointer}/resourceRequirements/{index}");
            let message = format!(
                "`{}` requests a {}, which Fargate does not support",
                container.name, requirement.kind
            );
            report.add(pointer, message, hint);
        }
    }
}
