use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T02",
    name: "container-count",
    severity: Severity::Error,
    title: "task has no container or more than 10",
    explanation: "Ten containers per task definition is an ECS quota that cannot be raised, and a \
                  task needs at least one container.",
    source: "ECS service quotas, containers per task definition (not adjustable); cfn-lint E3042",
    hint: "Merge sidecars, or split the task in two.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // Eleven containers.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "worker-1", "image": "app:1", "memory": 128 },
    { "name": "worker-2", "image": "app:1", "memory": 128 },
    { "name": "worker-3", "image": "app:1", "memory": 128 },
    { "name": "worker-4", "image": "app:1", "memory": 128 },
    { "name": "worker-5", "image": "app:1", "memory": 128 },
    { "name": "worker-6", "image": "app:1", "memory": 128 },
    { "name": "worker-7", "image": "app:1", "memory": 128 },
    { "name": "worker-8", "image": "app:1", "memory": 128 },
    { "name": "worker-9", "image": "app:1", "memory": 128 },
    { "name": "worker-10", "image": "app:1", "memory": 128 },
    { "name": "worker-11", "image": "app:1", "memory": 128 }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let count = located.definition.container_definitions.len();
    if count == 0 {
        let hint = "add at least one container with a name and an image";
        report.add(
            "/containerDefinitions",
            "the task definition has no container",
            hint,
        );
    } else if count > MAX_CONTAINERS {
        let message = format!("{count} containers: a task definition has at most {MAX_CONTAINERS}");
        // The finding points to the first container beyond the quota.
        let pointer = format!("/containerDefinitions/{MAX_CONTAINERS}/name");
        report.add(pointer, message, "merge sidecars, or split the task in two");
    }
}

const MAX_CONTAINERS: usize = 10;
