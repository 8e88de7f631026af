use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L01",
    name: "unsupported-log-driver",
    severity: Severity::Error,
    title: "log driver is not supported",
    explanation: "Fargate supports awslogs, splunk and awsfirelens. EC2 also supports json-file, \
                  syslog, journald, gelf and fluentd.",
    source: "ECS API, LogConfiguration, field logDriver; cfn-lint E3048, E3713",
    hint: "Use awslogs, or awsfirelens with a router.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "executionRoleArn": "arn:aws:iam::111122223333:role/ecs-execution",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "logConfiguration": {
        "logDriver": "awslogs",
        "options": {
          "awslogs-group": "/ecs/web",
          "awslogs-region": "eu-central-1",
          "awslogs-stream-prefix": "app"
        }
      }
    }
  ]
}"#,
    // syslog is an EC2 driver.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "logConfiguration": { "logDriver": "json-file" } }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(log) = &container.log_configuration else {
            continue;
        };
        let pointer = format!("{pointer}/logConfiguration/logDriver");
        let driver = log.log_driver.as_str();

        if located.definition.is_fargate() && EC2_ONLY.contains(&driver) {
            let message = format!(
                "`{}` uses log driver {driver}, which Fargate does not support",
                container.name
            );
            report.add(pointer, message, format!("use {}", FARGATE.join(", ")));
        } else {
            // On Fargate a misspelt driver is an unknown value, not an EC2 one.
            let known: Vec<_> = FARGATE.into_iter().chain(EC2_ONLY).collect();
            report.check_enum(&pointer, Some(driver), &known);
        }
    }
}

const FARGATE: [&str; 3] = ["awslogs", "splunk", "awsfirelens"];
const EC2_ONLY: [&str; 5] = ["json-file", "syslog", "journald", "gelf", "fluentd"];
