use diagnostics::{Edit, Severity};
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V06",
    name: "efs-encryption",
    severity: Severity::Error,
    title: "EFS access point or IAM without transit encryption",
    explanation: "An access point or iam ENABLED requires transitEncryption ENABLED. With an access \
                  point the root directory is that of the access point, so rootDirectory is / or \
                  omitted. transitEncryptionPort requires encryption too.",
    source: "ECS API, EFSVolumeConfiguration, EFSAuthorizationConfig",
    hint: "Set \"transitEncryption\": \"ENABLED\".",
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
      "efsVolumeConfiguration": {
        "fileSystemId": "fs-0123456789abcdef0",
        "transitEncryption": "ENABLED",
        "authorizationConfig": { "iam": "ENABLED" }
      }
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
    // iam ENABLED without encryption.
    failing: Failing::Change(
        r#""efsVolumeConfiguration": {
        "fileSystemId": "fs-0123456789abcdef0",
        "transitEncryption": "ENABLED",
        "authorizationConfig": { "iam": "ENABLED" }
      }"#,
        r#""efsVolumeConfiguration": { "fileSystemId": "fs-0123456789abcdef0", "authorizationConfig": { "iam": "ENABLED" } }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (index, volume) in located.definition.volumes.iter().enumerate() {
        let Some(efs) = &volume.efs_volume_configuration else {
            continue;
        };
        let pointer = format!("/volumes/{index}/efsVolumeConfiguration");
        let encryption = efs.transit_encryption.as_deref();

        report.check_enum(&format!("{pointer}/transitEncryption"), encryption, &VALUES);
        // A placeholder may become ENABLED.
        let is_encrypted =
            encryption.is_some_and(|word| word == "ENABLED" || find_placeholder(word).is_some());
        let access = efs.authorization_config.clone().unwrap_or_default();

        report.check_enum(
            &format!("{pointer}/authorizationConfig/iam"),
            access.iam.as_deref(),
            &VALUES,
        );
        let requirement = if access.access_point_id.is_some() {
            Some("an access point")
        } else if access.iam.as_deref() == Some("ENABLED") {
            Some("iam")
        } else {
            efs.transit_encryption_port
                .map(|_| "a transitEncryptionPort")
        };

        if let Some(what) = requirement.filter(|_| !is_encrypted) {
            let message = format!(
                "the volume `{}` has {what} without transit encryption",
                volume.name
            );
            report.add(
                &pointer,
                message,
                "write \"transitEncryption\": \"ENABLED\"",
            );
            report.fix_value(format!("{pointer}/transitEncryption"), Some("ENABLED"));
        }

        // The access point enforces its own root directory.
        let root = efs.root_directory.as_deref().unwrap_or("/");
        if access.access_point_id.is_some() && root != "/" {
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

const VALUES: [&str; 2] = ["ENABLED", "DISABLED"];
