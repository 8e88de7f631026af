use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, containers, edges, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D04",
    name: "essential-dependency-exits",
    severity: Severity::Error,
    title: "container awaited with COMPLETE or SUCCESS is essential",
    explanation: "When an essential container exits, the task stops. ECS rejects the definition with \
                  \"A dependency container with SUCCESS or COMPLETE condition cannot be an essential \
                  container\".",
    source: "ECS error message",
    hint: "Set \"essential\": false for the container that exits.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }],
      "memory": 128
    },
    { "name": "init", "image": "init:1", "essential": false, "memory": 128 }
  ]
}"#,
    // init is essential by default.
    failing: Failing::Change(r#""essential": false, "memory": 128"#, r#""memory": 128"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| waits_for_exit(edge.condition)) {
        let Some((pointer, target)) = container(located, edge.target) else {
            continue;
        };
        if target.is_essential() {
            let message = format!(
                "`{}` waits for `{}` to exit, but `{}` is essential, so its exit stops the task",
                edge.from.name, target.name, target.name
            );
            let hint = format!("write \"essential\": false for `{}`", target.name);

            report.add(format!("{}/condition", edge.pointer), message, hint.clone());
            // Without another essential container the fix would violate T03.
            let mut others = containers(located).map(|(_, other)| other);
            if others.any(|other| other.is_essential() && other.name != target.name) {
                let edits = vec![Edit::Set(format!("{pointer}/essential"), json!(false))];
                report.fix(hint, edits);
            }
        }
    }
}
