use diagnostics::Severity;
use task_definition::{EfsVolume, LocatedDefinition, Volume, find_placeholder};

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V10",
    name: "invalid-efs",
    severity: Severity::Error,
    title: "invalid file system, access point or port of EFS",
    explanation: "The id of a file system is fs- and 8 to 40 hexadecimal digits, that of an access \
                  point fsap- and as many. A name, a DNS name or the id of something else is \
                  rejected, or the task stops when it mounts the volume. The port of the encrypted \
                  connection is below 65536 and used by one volume. rootDirectory is an absolute path.",
    source: "EFS API, FileSystemDescription, field FileSystemId, and AccessPointDescription, field \
             AccessPointId; ECS API, EFSVolumeConfiguration",
    hint: "Copy the id.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [
    { "name": "data", "efsVolumeConfiguration": { "fileSystemId": "fs-0123456789abcdef0" } }
  ],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }]
    }
  ]
}"#,
    // The DNS name.
    failing: Failing::Change(
        r#""fs-0123456789abcdef0""#,
        r#""fs-0123456789abcdef0.efs.eu-central-1.amazonaws.com""#,
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
        let access = efs.authorization_config.as_ref();
        let access = access.and_then(|access| access.access_point_id.as_deref());

        if !is_id(&efs.file_system_id, "fs-") {
            let message = format!("`{}` is not the id of a file system", efs.file_system_id);
            let hint = "copy the id: fs- and hexadecimal digits";
            report.add(format!("{pointer}/fileSystemId"), message, hint);
        }
        if let Some(id) = access.filter(|id| !is_id(id, "fsap-")) {
            let message = format!("`{id}` is not the id of an access point");
            let hint = "copy the id: fsap- and hexadecimal digits";
            report.add(
                format!("{pointer}/authorizationConfig/accessPointId"),
                message,
                hint,
            );
        }

        let root = efs.root_directory.as_deref().unwrap_or("/");
        if !root.starts_with('/') && find_placeholder(root).is_none() {
            let message = format!("the root directory `{root}` is not absolute");
            let hint = format!("write /{root}");
            report.warn(format!("{pointer}/rootDirectory"), message, hint);
        }
        if is_port_used(&located.definition.volumes[..index], efs) {
            let message = "another volume uses this port too";
            let hint = "choose another port, or leave it out";
            report.warn(format!("{pointer}/transitEncryptionPort"), message, hint);
        }
        if let Some(port) = efs.transit_encryption_port.filter(|port| *port > 65_535) {
            let message = format!("{port} is not a port");
            let hint = "choose a port up to 65535, or leave it out";
            report.add(format!("{pointer}/transitEncryptionPort"), message, hint);
        }
    }
}

/// Returns whether the port of the encrypted connection is that of a volume before, on another file system.
fn is_port_used(before: &[Volume], efs: &EfsVolume) -> bool {
    let others = before
        .iter()
        .filter_map(|volume| volume.efs_volume_configuration.as_ref());
    let mut others = others.filter(|other| other.file_system_id != efs.file_system_id);
    efs.transit_encryption_port.is_some_and(|port| {
        port > 0 && others.any(|other| other.transit_encryption_port == Some(port))
    })
}

fn is_id(text: &str, prefix: &str) -> bool {
    // EFS also accepts ARNs where it takes an id.
    let id = text.rsplit('/').next().unwrap_or(text);
    let is_arn = text.starts_with("arn:");
    (is_arn || id.len() == text.len())
        && id.strip_prefix(prefix).is_some_and(|digits| {
            (8..=40).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}
