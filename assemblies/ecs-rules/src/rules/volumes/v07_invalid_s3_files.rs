use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V07",
    name: "invalid-s3-files",
    severity: Severity::Error,
    title: "invalid S3 Files volume",
    explanation: "fileSystemArn is the full ARN of a file system of S3 Files, not of a bucket or of EFS, \
                  and accessPointArn that of an access point. The port of the encrypted connection is \
                  below 65536. With an access point the root directory is that of \
                  the access point, so rootDirectory is / or omitted.",
    source: "ECS API, S3FilesVolumeConfiguration",
    hint: "Copy the whole ARN.",
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
    // A file system id in place of an ARN.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "taskRoleArn": "arn:aws:iam::111122223333:role/web",
  "volumes": [{ "name": "data", "s3filesVolumeConfiguration": { "fileSystemArn": "fs-0123" } }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }]
    }
  ]
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

        let system = Some(files.file_system_arn.as_str());
        for (field, arn, part) in [
            ("fileSystemArn", system, ":file-system/"),
            (
                "accessPointArn",
                files.access_point_arn.as_deref(),
                "/access-point/",
            ),
        ] {
            if let Some(problem) = arn.and_then(|arn| find_problem(arn, part)) {
                report.add(format!("{pointer}/{field}"), problem, "copy the whole ARN");
            }
        }
        if let Some(port) = files.transit_encryption_port.filter(|port| *port > 65_535) {
            let message = format!("{port} is not a port");
            let hint = "choose a port up to 65535, or leave it out";
            report.add(format!("{pointer}/transitEncryptionPort"), message, hint);
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

fn find_problem(arn: &str, part: &str) -> Option<String> {
    if !arn.starts_with("arn:") {
        return Some(format!("`{arn}` is not an ARN"));
    }
    // arn:partition:s3files:region:account:file-system/fs-…
    let service = arn.split(':').nth(2).unwrap_or_default();
    if service != "s3files" {
        return Some(format!("this is an ARN of {service}, not of S3 Files"));
    }
    let what = part.trim_matches([':', '/']);
    (!arn.contains(part)).then(|| format!("`{arn}` is not the ARN of a {what}"))
}
