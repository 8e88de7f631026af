use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C10",
    name: "invalid-environment-file",
    severity: Severity::Error,
    title: "invalid environment file",
    explanation: "ECS fetches environment files from S3 before the container starts and sets one \
                  variable per line. A container has at most ten files, and each object name ends in \
                  .env.",
    source: "ECS API, ContainerDefinition, field environmentFiles",
    hint: "Use the ARN of an S3 object that ends in .env, with type s3.",
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
      "environmentFiles": [{ "value": "arn:aws:s3:::settings/web.env", "type": "s3" }]
    }
  ]
}"#,
    // An S3 URI in place of an ARN.
    failing: Failing::Change(
        r#""value": "arn:aws:s3:::settings/web.env""#,
        r#""value": "s3://settings/web.env""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let pointer = format!("{pointer}/environmentFiles");
        if container.environment_files.len() > 10 {
            let message = format!(
                "{} environment files; 10 are allowed",
                container.environment_files.len()
            );
            report.add(format!("{pointer}/10"), message, "merge some of them");
        }

        for (index, file) in container.environment_files.iter().enumerate() {
            report.check_enum(
                &format!("{pointer}/{index}/type"),
                Some(&file.kind),
                &["s3"],
            );

            // S3 ARNs have empty region and account fields: arn:aws:s3:::bucket/key.
            let arn: Vec<_> = file.value.splitn(6, ':').collect();
            let is_object =
                arn.len() == 6 && arn[0] == "arn" && arn[2] == "s3" && arn[5].contains('/');
            let pointer = format!("{pointer}/{index}/value");

            if !is_object {
                let hint = "write arn:aws:s3:::bucket/path/name.env";
                report.add(
                    pointer,
                    format!("`{}` is not the ARN of an S3 object", file.value),
                    hint,
                );
            } else if file.value.rsplit('.').next() != Some("env") {
                let message = format!("`{}` does not end in .env", file.value);
                report.add(
                    pointer,
                    message,
                    "rename the object so that it ends in .env",
                );
            }
        }
    }
}
