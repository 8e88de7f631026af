use crate::finding::Severity;
use crate::placeholder::find_placeholder;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "S02",
    name: "parameter-region",
    severity: Severity::Warning,
    title: "bare parameter name in a definition for another region",
    explanation: "A secret that is only a name is looked up in Parameter Store of the region the \
                  task runs in. Where the definition shows its region by its log or its image, and \
                  the secrets that are given by ARN stand in another one, the bare name is probably \
                  meant to be there too, and the task does not start.",
    source: "ECS API, Secret, field valueFrom",
    hint: "Write the whole ARN.",
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
    failing: r#"{
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
        { "name": "SALT", "valueFrom": "salt" }
      ]
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(home) = home(located).filter(|home| find_placeholder(home).is_none()) else {
        return;
    };
    let values = || {
        containers(located).flat_map(|(pointer, one)| {
            let each = one.secrets.iter().enumerate();
            each.map(move |(index, one)| (format!("{pointer}/secrets/{index}/valueFrom"), one))
        })
    };

    let regions: Vec<_> = values()
        .filter(|(_, secret)| find_placeholder(&secret.value_from).is_none())
        .filter_map(|(_, secret)| region(&secret.value_from))
        .collect();

    // Where one secret is at home, the bare name can be too.
    let Some(other) = regions.first().filter(|_| !regions.contains(&home)) else {
        return;
    };

    for (pointer, secret) in values() {
        let bare = !secret.value_from.is_empty() && !secret.value_from.starts_with("arn:");
        if bare {
            let message = format!(
                "`{}` is looked up in {home}; the other secrets are in {other}",
                secret.value_from
            );
            report.add(pointer, message, "write the whole ARN");
        }
    }
}

/// The region in which the task runs, as its logs or its images show.
fn home(located: &LocatedDefinition) -> Option<&str> {
    let log = logs(located)
        .filter(|(_, _, log)| log.log_driver == "awslogs")
        .find_map(|(_, _, log)| log.options.get("awslogs-region"));
    let image = || containers(located).find_map(|(_, one)| registry(&one.image));
    log.map(String::as_str).or_else(image)
}

/// The region of `111122223333.dkr.ecr.eu-central-1.amazonaws.com/app`.
fn registry(image: &str) -> Option<&str> {
    let host = image.split('/').next()?;
    let (_, rest) = host.split_once(".dkr.ecr.")?;
    rest.split('.').next()
}

fn region(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(2)
}
