use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T21",
    name: "unsupported-on-windows",
    severity: Severity::Error,
    title: "setting that Windows lacks",
    explanation: "Windows has no EFS, read-only root, Linux parameters or ulimits; on Fargate its storage has a fixed size.",
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
    for (index, volume) in definition.volumes.iter().enumerate() {
        if volume.efs_volume_configuration.is_some() {
            let message = format!(
                "the volume `{}` is EFS, which Windows does not support",
                volume.name
            );
            let pointer = format!("/volumes/{index}/efsVolumeConfiguration");
            report.add(pointer, message, "remove the volume");
        }
    }

    for (pointer, container) in containers(located) {
        for (field, is_set) in [
            (
                "readonlyRootFilesystem",
                container.readonly_root_filesystem == Some(true),
            ),
            ("linuxParameters", container.linux_parameters.is_some()),
            ("ulimits", !container.ulimits.is_empty()),
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
