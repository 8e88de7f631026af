use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, edges, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F08",
    name: "waits-for-server-exit",
    severity: Severity::Warning,
    title: "dependency waits for a server to exit",
    explanation: "COMPLETE and SUCCESS wait until a container exits. A server does not exit, so the \
                  dependent container never starts. The rule recognizes well-known images that run \
                  without a command of the definition.",
    source: "ECS API, ContainerDependency, field condition",
    hint: "Wait for START or HEALTHY.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "dependsOn": [{ "containerName": "cache", "condition": "START" }], "memory": 128 },
    { "name": "cache", "image": "redis:8", "essential": false, "memory": 128 }
  ]
}"#,
    // cache runs an image of a server without a command.
    failing: Failing::Change(r#""condition": "START""#, r#""condition": "SUCCESS""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for edge in edges(located).filter(|edge| waits_for_exit(edge.condition)) {
        let Some((_, target)) = container(located, edge.target) else {
            continue;
        };
        // With a command of its own, the image may run something that exits, such as a migration.
        if report.images().is_long_running(target) {
            let message = format!(
                "`{}` waits for `{}` to exit, which is a server",
                edge.from.name, target.name
            );
            let hint = "wait for START, or for HEALTHY with a health check";
            report.add(format!("{}/condition", edge.pointer), message, hint);
        }
    }
}
