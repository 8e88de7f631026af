use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V07",
    name: "invalid-s3-files",
    severity: Severity::Error,
    title: "invalid S3 Files volume",
    explanation: "fileSystemArn is a full ARN. With an access point the root directory is that of \
                  the access point, so rootDirectory is / or omitted.",
    source: "ECS API, S3FilesVolumeConfiguration",
    hint: "Copy the whole ARN.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [
    {
      "name": "data",
      "s3filesVolumeConfiguration": { "fileSystemArn": "arn:aws:s3files:eu-central-1:111122223333:file-system/fs-0123" }
    }
  ],
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // A file system id in place of an ARN.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [{ "name": "data", "s3filesVolumeConfiguration": { "fileSystemArn": "fs-0123" } }],
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (index, volume) in located.definition.volumes.iter().enumerate() {
        let Some(files) = &volume.s3files_volume_configuration else {
            continue;
        };
        let pointer = format!("/volumes/{index}/s3filesVolumeConfiguration");

        if !files.file_system_arn.starts_with("arn:") {
            let message = format!("`{}` is not an ARN", files.file_system_arn);
            report.add(
                format!("{pointer}/fileSystemArn"),
                message,
                "copy the whole ARN",
            );
        }

        // The access point enforces its own root directory.
        let root = files.root_directory.as_deref().unwrap_or("/");
        if files.access_point_arn.is_some() && root != "/" {
            let message = format!(
                "the volume `{}` has an access point and the root `{root}`",
                volume.name
            );

            report.add(
                format!("{pointer}/rootDirectory"),
                message,
                "remove `rootDirectory`",
            );
            let edits = vec![Edit::Remove(format!("{pointer}/rootDirectory"))];
            report.fix("remove `rootDirectory`", edits);
        }
    }
}
