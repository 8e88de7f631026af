use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::{container, edges, waits_for_exit};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C13",
    name: "restarted-dependency",
    severity: Severity::Warning,
    title: "container awaited with COMPLETE or SUCCESS has a restart policy",
    explanation: "A dependency with COMPLETE or SUCCESS means a container that ends. A restart \
                  policy starts it again when it does, so the two want different things.",
    source: "reasoning from ECS API, ContainerRestartPolicy and ContainerDependency; not \
                  tried against ECS",
    hint: "Remove the restart policy, or wait for START or HEALTHY.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "init", "image": "init:1", "essential": false, "memory": 128 },
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }],
      "memory": 128
    }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "init",
      "image": "init:1",
      "essential": false,
      "restartPolicy": { "enabled": true },
      "memory": 128
    },
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }],
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| waits_for_exit(edge.condition)) {
        let Some((pointer, target)) = container(located, edge.target) else {
            continue;
        };
        if target
            .restart_policy
            .as_ref()
            .is_some_and(|policy| policy.enabled)
        {
            let message = format!(
                "`{}` is started again when it ends, and `{}` waits for its end",
                target.name, edge.from.name
            );

            report.add(
                format!("{pointer}/restartPolicy"),
                message,
                "remove the restart policy",
            );
            let edits = vec![Edit::Remove(format!("{pointer}/restartPolicy"))];
            report.fix("remove the restart policy", edits);
        }
    }
}
