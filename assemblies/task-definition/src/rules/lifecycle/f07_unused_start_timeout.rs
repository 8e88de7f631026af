use crate::container::Condition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, edges};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F07",
    name: "unused-start-timeout",
    severity: Severity::Warning,
    title: "startTimeout has no effect: nothing depends on the container",
    explanation: "startTimeout belongs to the container that is waited for, and counts from its \
                  start until it is healthy or has ended. At a container for which nobody waits with \
                  HEALTHY, COMPLETE or SUCCESS it does nothing: most often it was meant for the one \
                  that container waits for.",
    source: "ECS API, ContainerDefinition, field startTimeout; Amazon ECS agent, dependency \
                  graph",
    hint: "Move it to the container that is waited for, or remove it.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }], "memory": 128 },
    { "name": "init", "image": "init:1", "essential": false, "startTimeout": 60, "memory": 128 }
  ]
}"#,
    failing: r#"{
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
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let waited = |condition| condition != Condition::Start;
        let mut all = edges(located);
        if one.start_timeout.is_none()
            || all.any(|edge| edge.target == one.name && waited(edge.condition))
        {
            continue;
        }

        let message = format!(
            "nobody waits for `{}` to be healthy or to end: its startTimeout does nothing",
            one.name
        );
        let meant = one.depends_on.iter().find(|edge| waited(edge.condition));
        let hint = match meant {
            Some(edge) => format!("move it to `{}`", edge.container_name),
            None => "remove it".to_owned(),
        };
        report.add(format!("{pointer}/startTimeout"), message, hint);
    }
}
