use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C14",
    name: "invalid-repository-credentials",
    severity: Severity::Error,
    title: "invalid `repositoryCredentials`",
    explanation: "ECS reads user name and password from Secrets Manager before it pulls the image.",
    source: "ECS API, RepositoryCredentials",
    hint: "Use the ARN of the secret.",
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
      "repositoryCredentials": {
        "credentialsParameter": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:registry-a1b2c3"
      }
    }
  ]
}"#,
    // A Parameter Store ARN: ECS reads registry credentials from Secrets Manager only.
    failing: Failing::Change(
        r#""repositoryCredentials": {
        "credentialsParameter": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:registry-a1b2c3"
      }"#,
        r#""repositoryCredentials": { "credentialsParameter": "arn:aws:ssm:eu-central-1:111122223333:parameter/registry" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(login) = &container.repository_credentials else {
            continue;
        };
        let text = &login.credentials_parameter;
        // A text that is not an ARN is the name of a secret in the same region.
        let is_other = text.starts_with("arn:") && text.split(':').nth(2) != Some("secretsmanager");

        if text.is_empty() || is_other {
            let message = format!(
                "the registry credentials of `{}` are not a secret: `{text}`",
                container.name
            );
            let pointer = format!("{pointer}/repositoryCredentials/credentialsParameter");

            report.add(
                pointer,
                message,
                "use the ARN or name of a Secrets Manager secret",
            );
        }
    }
}
