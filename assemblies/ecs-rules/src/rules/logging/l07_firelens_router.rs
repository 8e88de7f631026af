use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L07",
    name: "firelens-router",
    severity: Severity::Error,
    title: "awsfirelens without exactly one log router on another log driver",
    explanation: "A container with log driver awsfirelens sends its log to the container with \
                  firelensConfiguration. The task has exactly one, which cannot send its own log to \
                  itself.",
    source: "ECS developer guide, FireLens",
    hint: "Add a container with firelensConfiguration.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "router",
      "image": "fluent-bit:1",
      "firelensConfiguration": { "type": "fluentbit" }
    },
    { "name": "app", "image": "app:1", "logConfiguration": { "logDriver": "awsfirelens" } }
  ]
}"#,
    // No container has firelensConfiguration.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "logConfiguration": { "logDriver": "awsfirelens" } }]
}"#,
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let routers: Vec<_> = containers(located)
        .filter(|(_, container)| container.firelens_configuration.is_some())
        .collect();
    // The agent configures one router per task.
    if let Some((pointer, second)) = routers.get(1) {
        let message = format!(
            "`{}` and `{}` are both log routers",
            routers[0].1.name, second.name
        );
        report.add(
            format!("{pointer}/firelensConfiguration"),
            message,
            "keep one of them",
        );
    }

    for (pointer, container, _) in
        logs(located).filter(|(_, _, log)| log.log_driver == "awsfirelens")
    {
        let pointer = format!("{pointer}/logDriver");
        if container.firelens_configuration.is_some() {
            let message = format!(
                "the log router `{}` would send its log to itself",
                container.name
            );
            report.add(pointer, message, "use awslogs for the router");
        } else if routers.is_empty() {
            let message = format!(
                "`{}` uses awsfirelens, but no container is a log router",
                container.name
            );
            report.add(
                pointer,
                message,
                "add a container with \"firelensConfiguration\"",
            );
        }
    }
}
