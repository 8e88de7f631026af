use diagnostics::Severity;
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "S02",
    name: "parameter-region",
    severity: Severity::Warning,
    title: "bare parameter name in a definition for another region",
    explanation: "ECS looks up a bare name in Parameter Store of the task's region. If the log or \
                  image shows the region of the task and all secrets with an ARN are in another \
                  region, the bare name probably belongs to that region too, and the task does not \
                  start.",
    source: "ECS API, Secret, field valueFrom",
    hint: "Use the whole ARN.",
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
      "image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/app:1",
      "secrets": [
        { "name": "KEY", "valueFrom": "arn:aws:ssm:us-east-1:111122223333:parameter/key" },
        { "name": "SALT", "valueFrom": "arn:aws:ssm:us-east-1:111122223333:parameter/salt" }
      ]
    }
  ]
}"#,
    // The log is in another region than the secrets with an ARN.
    failing: Failing::Change(
        r#""valueFrom": "arn:aws:ssm:us-east-1:111122223333:parameter/salt""#,
        r#""valueFrom": "salt""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(home) = task_region(located).filter(|home| find_placeholder(home).is_none()) else {
        return;
    };
    let values = || {
        containers(located).flat_map(|(pointer, container)| {
            let each = container.secrets.iter().enumerate();
            each.map(move |(index, secret)| {
                (format!("{pointer}/secrets/{index}/valueFrom"), secret)
            })
        })
    };

    let regions: Vec<_> = values()
        .filter(|(_, secret)| find_placeholder(&secret.value_from).is_none())
        .filter_map(|(_, secret)| arn_region(&secret.value_from))
        .collect();

    // With one ARN in the task's region, the bare name is plausible there too.
    let Some(other) = regions.first().filter(|_| !regions.contains(&home)) else {
        return;
    };

    for (pointer, secret) in values() {
        let is_bare = !secret.value_from.is_empty() && !secret.value_from.starts_with("arn:");
        if is_bare {
            let message = format!(
                "`{}` is looked up in {home}; the other secrets are in {other}",
                secret.value_from
            );
            report.add(pointer, message, "write the whole ARN");
        }
    }
}

/// Returns the region of the task, according to its log or image.
fn task_region(located: &LocatedDefinition) -> Option<&str> {
    let log = logs(located)
        .filter(|(_, _, log)| log.log_driver == "awslogs")
        .find_map(|(_, _, log)| log.options.get("awslogs-region"));
    let image = || containers(located).find_map(|(_, container)| registry_region(&container.image));
    log.map(String::as_str).or_else(image)
}

/// Returns the region of `111122223333.dkr.ecr.eu-central-1.amazonaws.com/app`.
fn registry_region(image: &str) -> Option<&str> {
    let host = image.split('/').next()?;
    let (_, rest) = host.split_once(".dkr.ecr.")?;
    rest.split('.').next()
}

fn arn_region(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(2)
}
