use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T14",
    name: "missing-execution-role",
    severity: Severity::Error,
    title: "execution role is missing",
    explanation: "ECS itself reads secrets, logs in to private registries and fetches environment \
                  files, and on Fargate it pulls from ECR and writes to CloudWatch Logs. It uses \
                  executionRoleArn for this, because the task role is only available inside running \
                  containers. Without the role, tasks stop before they start.",
    source: "ECS developer guide, task execution role; ECS API, ContainerDefinition, fields \
                  secrets, logConfiguration, repositoryCredentials",
    hint: "Set executionRoleArn to a role that ecs-tasks.amazonaws.com may assume.",
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
      "secrets": [{ "name": "KEY", "valueFrom": "arn:aws:ssm:eu-central-1:111122223333:parameter/key" }]
    }
  ]
}"#,
    // The container reads a secret.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "secrets": [{ "name": "KEY", "valueFrom": "arn:aws:ssm:eu-central-1:111122223333:parameter/key" }]
    }
  ]
}"#,
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if located.definition.execution_role_arn.is_some() {
        return;
    }

    let fargate = located.definition.is_fargate();
    let needs: Vec<_> = containers(located)
        .filter_map(|(at, container)| find_use(&at, container, fargate))
        .collect();
    // One role serves all containers, so one finding is enough.
    let Some((pointer, what)) = needs.first() else {
        return;
    };
    let others = match needs.len() - 1 {
        0 => String::new(),
        1 => ", and another container needs it too".to_owned(),
        more => format!(", and {more} other containers need it too"),
    };

    let message = format!("{what}, which needs an executionRoleArn{others}");
    report.add(
        pointer,
        message,
        "set \"executionRoleArn\" to a role that ECS can assume",
    );
}

/// Returns where a container needs the role, and why.
fn find_use(
    pointer: &str,
    container: &ContainerDefinition,
    fargate: bool,
) -> Option<(String, String)> {
    let log = container.log_configuration.as_ref();
    let at = |field: &str| format!("{pointer}/{field}");
    let (location, what) = if !container.secrets.is_empty() {
        (at("secrets"), "reads a secret")
    } else if log.is_some_and(|log| !log.secret_options.is_empty()) {
        (
            at("logConfiguration/secretOptions"),
            "reads a secret for its log",
        )
    } else if container.repository_credentials.is_some() {
        (at("repositoryCredentials"), "logs in to a private registry")
    } else if !container.environment_files.is_empty() {
        (at("environmentFiles"), "reads environment files")
    // On EC2 the instance role writes logs and pulls images.
    } else if fargate && log.is_some_and(|log| log.log_driver == "awslogs") {
        (at("logConfiguration"), "writes to CloudWatch Logs")
    } else if fargate && is_private_ecr(&container.image) {
        (at("image"), "pulls its image from ECR")
    } else {
        return None;
    };

    Some((location, format!("`{}` {what}", container.name)))
}

fn is_private_ecr(image: &str) -> bool {
    image
        .split('/')
        .next()
        .is_some_and(|host| host.contains(".dkr.ecr"))
}
