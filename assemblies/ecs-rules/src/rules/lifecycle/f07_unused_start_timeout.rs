use diagnostics::Severity;
use task_definition::{Condition, LocatedDefinition};

use crate::rules::shared::{containers, edges};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F07",
    name: "unused-start-timeout",
    severity: Severity::Warning,
    title: "startTimeout has no effect: nothing depends on the container",
    explanation: "startTimeout is set on the awaited container and runs from its start until it is \
                  healthy or has exited. It has no effect on a container that no other container \
                  awaits with HEALTHY, COMPLETE or SUCCESS; usually it was meant for a dependency of \
                  that container.",
    source: "ECS API, ContainerDefinition, field startTimeout; Amazon ECS agent, dependency graph",
    hint: "Move it to the awaited container, or remove it.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }], "memory": 128 },
    { "name": "init", "image": "init:1", "essential": false, "startTimeout": 60, "memory": 128 }
  ]
}"#,
    // startTimeout is on the dependent container in place of init.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "startTimeout": 60,
      "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }],
      "memory": 128
    },
    { "name": "init", "image": "init:1", "essential": false, "memory": 128 }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        // START is resolved at once, so it never times out.
        let has_timeout = |condition| condition != Condition::Start;
        let mut all = edges(located);
        if container.start_timeout.is_none()
            || all.any(|edge| edge.target == container.name && has_timeout(edge.condition))
        {
            continue;
        }

        let message = format!(
            "no container waits for `{}` to be healthy or to exit, so its startTimeout has no effect",
            container.name
        );
        let suggestion = container
            .depends_on
            .iter()
            .find(|edge| has_timeout(edge.condition));
        let hint = match suggestion {
            Some(edge) => format!("move it to `{}`", edge.container_name),
            None => "remove it".to_owned(),
        };
        report.add(format!("{pointer}/startTimeout"), message, hint);
    }
}
