use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T21",
    name: "unsupported-on-windows",
    severity: Severity::Error,
    title: "setting that Windows lacks",
    explanation: "Windows has no EFS, S3 Files, read-only root, Linux parameters or kernel settings; Fargate offers 2019 and later, with storage of a fixed size.",
    source: "ECS API, ContainerDefinition; ECS developer guide, Windows",
    hint: "Remove the setting.",
    passing: r#"{
  "family": "web",
  "runtimePlatform": { "operatingSystemFamily": "WINDOWS_SERVER_2022_CORE" },
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // A read-only root.
    failing: Failing::Change(
        r#""memory": 128"#,
        r#""memory": 128, "readonlyRootFilesystem": true"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if !definition.is_windows() {
        return;
    }

    if definition.is_fargate() && definition.ephemeral_storage.is_some() {
        let message = "Windows containers on Fargate have ephemeral storage of a fixed size";
        report.add("/ephemeralStorage", message, "remove `ephemeralStorage`");
    }
    let platform = definition.runtime_platform.as_ref();
    let family = platform.and_then(|platform| platform.operating_system_family.as_deref());
    if let Some(family) = family.filter(|family| definition.is_fargate() && is_ec2_only(family)) {
        let message = format!("Fargate does not offer {family}");
        let hint = "write WINDOWS_SERVER_2022_CORE or WINDOWS_SERVER_2022_FULL";
        report.add("/runtimePlatform/operatingSystemFamily", message, hint);
    }

    for (index, volume) in definition.volumes.iter().enumerate() {
        for (field, what, is_set) in [
            (
                "efsVolumeConfiguration",
                "EFS",
                volume.efs_volume_configuration.is_some(),
            ),
            (
                "s3filesVolumeConfiguration",
                "S3 Files",
                volume.s3files_volume_configuration.is_some(),
            ),
        ] {
            if is_set {
                let message = format!(
                    "the volume `{}` is {what}, which Windows does not support",
                    volume.name
                );
                report.add(
                    format!("/volumes/{index}/{field}"),
                    message,
                    "remove the volume",
                );
            }
        }
    }

    for (pointer, container) in containers(located) {
        for (field, is_set) in [
            (
                "readonlyRootFilesystem",
                container.readonly_root_filesystem == Some(true),
            ),
            ("linuxParameters", container.linux_parameters.is_some()),
            ("systemControls", !container.system_controls.is_empty()),
        ] {
            if is_set {
                let message = format!("Windows does not support {field} of `{}`", container.name);
                report.add(
                    format!("{pointer}/{field}"),
                    message,
                    format!("remove `{field}`"),
                );
            }
        }
    }
}

/// Returns whether only EC2 instances run this version.
fn is_ec2_only(family: &str) -> bool {
    let versions = ["_2016_", "_2004_", "_20H2_"];
    versions.iter().any(|version| family.contains(version))
}
