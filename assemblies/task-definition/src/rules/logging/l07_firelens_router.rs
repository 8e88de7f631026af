use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L07",
    name: "firelens-router",
    severity: Severity::Error,
    title: "awsfirelens without exactly one log router on another log driver",
    explanation: "A container that logs with awsfirelens hands its lines to the container with \
                  firelensConfiguration. There is exactly one, and it cannot hand its own lines \
                  to itself.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "logConfiguration": { "logDriver": "awsfirelens" } }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let routers: Vec<_> = containers(located)
        .filter(|(_, one)| one.firelens_configuration.is_some())
        .collect();
    if let Some((pointer, second)) = routers.get(1) {
        let message = format!(
            "`{}` and `{}` both are log routers",
            routers[0].1.name, second.name
        );
        report.add(
            format!("{pointer}/firelensConfiguration"),
            message,
            "keep one of them",
        );
    }

    for (pointer, one, _) in logs(located).filter(|(_, _, log)| log.log_driver == "awsfirelens") {
        let pointer = format!("{pointer}/logDriver");
        if one.firelens_configuration.is_some() {
            let message = format!("the log router `{}` would hand its log to itself", one.name);
            report.add(pointer, message, "use awslogs for the router");
        } else if routers.is_empty() {
            let message = format!(
                "`{}` logs with awsfirelens, and no container is the router",
                one.name
            );
            report.add(
                pointer,
                message,
                "add a container with \"firelensConfiguration\"",
            );
        }
    }
}
