use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, edges, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C13",
    name: "restarted-dependency",
    severity: Severity::Warning,
    title: "container awaited with COMPLETE or SUCCESS has a restart policy",
    explanation: "COMPLETE and SUCCESS wait until a container exits, and a restart policy starts it \
                  again when it does. The two settings contradict each other.",
    source: "derived from ECS API, ContainerRestartPolicy and ContainerDependency; not tested \
                  against ECS",
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
    // init is restarted whenever it exits, and app waits for its exit.
    failing: Failing::Change(
        r#"{ "name": "init", "image": "init:1", "essential": false, "memory": 128 }"#,
        r#"{
      "name": "init",
      "image": "init:1",
      "essential": false,
      "restartPolicy": { "enabled": true },
      "memory": 128
    }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
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
                "`{}` restarts when it exits, and `{}` waits for its exit",
                target.name, edge.from.name
            );

            report.add(
                format!("{pointer}/restartPolicy"),
                message,
                "remove the restart policy",
            );
            // The dependency states the purpose of the container, so the restart policy is the
            // mistake.
            let edits = vec![Edit::Remove(format!("{pointer}/restartPolicy"))];
            report.fix("remove the restart policy", edits);
        }
    }
}
