use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V11",
    name: "s3-files-without-role",
    severity: Severity::Error,
    title: "S3 Files volume without a task role",
    explanation: "The task role authorizes the mount of an S3 Files volume. There is no mount without \
                  it, unlike with EFS.",
    source: "ECS API, S3FilesVolumeConfiguration",
    hint: "Set taskRoleArn to a role with access to the file system.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "taskRoleArn": "arn:aws:iam::111122223333:role/web",
  "volumes": [
    {
      "name": "data",
      "s3filesVolumeConfiguration": { "fileSystemArn": "arn:aws:s3files:eu-central-1:111122223333:file-system/fs-0123" }
    }
  ],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }]
    }
  ]
}"#,
    // The task role is missing.
    failing: Failing::Change(
        r#"
  "taskRoleArn": "arn:aws:iam::111122223333:role/web","#,
        "",
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if located.definition.task_role_arn.is_some() {
        return;
    }
    let mut volumes = located.definition.volumes.iter().enumerate();
    // One role serves all volumes, so one finding is enough.
    let first = volumes.find(|(_, volume)| volume.s3files_volume_configuration.is_some());
    if let Some((index, volume)) = first {
        let message = format!(
            "the volume `{}` is S3 Files, which needs a taskRoleArn",
            volume.name
        );
        let hint = "set \"taskRoleArn\" to a role with access to the file system";
        report.add(
            format!("/volumes/{index}/s3filesVolumeConfiguration"),
            message,
            hint,
        );
    }
}
