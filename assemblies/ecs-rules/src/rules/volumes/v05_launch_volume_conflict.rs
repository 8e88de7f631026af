use diagnostics::Severity;
use task_definition::{LocatedDefinition, Volume};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V05",
    name: "launch-volume-conflict",
    severity: Severity::Error,
    title: "conflicting volume configuration at launch",
    explanation: "A volume has one configuration: host, Docker, EFS, S3 Files, FSx, or EBS, which is \
                  configured when the task is launched. A definition has at most one EBS volume, and a \
                  container must mount it.",
    source: "ECS API, Volume, field configuredAtLaunch",
    hint: "Keep one, and mount it.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [{ "name": "data", "configuredAtLaunch": true }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }]
    }
  ]
}"#,
    // No container mounts the volume.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [{ "name": "data", "configuredAtLaunch": true }],
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (index, volume) in located.definition.volumes.iter().enumerate() {
        let kinds = configurations(volume);
        if let [first, second, ..] = kinds.as_slice() {
            let message = format!("the volume `{}` has {first} and {second}", volume.name);
            report.add(
                format!("/volumes/{index}/{second}"),
                message,
                "keep one of them",
            );
        }
    }

    let volumes = located.definition.volumes.iter().enumerate();
    let launched = volumes.filter(|(_, volume)| volume.configured_at_launch == Some(true));
    for (count, (index, volume)) in launched.enumerate() {
        let pointer = format!("/volumes/{index}/configuredAtLaunch");
        let name = &volume.name;
        let is_configured = !configurations(volume).is_empty();

        let is_mounted = containers(located).any(|(_, container)| {
            container
                .mount_points
                .iter()
                .any(|mount| mount.source_volume == *name)
        });

        // ECS attaches one EBS volume per task.
        if count > 0 {
            let message = format!("`{name}` is a second volume that is configured at launch");
            report.add(pointer, message, "keep one of them");
        } else if is_configured {
            let message = format!("`{name}` is configured at launch and in the definition");
            report.add(pointer, message, "remove one of the two configurations");
        } else if !is_mounted {
            let message = format!("`{name}` is configured at launch, and no container mounts it");
            report.add(pointer, message, "add a mount point for it");
        }
    }
}

/// Returns the fields that configure a volume in the definition.
fn configurations(volume: &Volume) -> Vec<&'static str> {
    let host = volume.host.as_ref();
    let fields = [
        ("host", host.is_some_and(|host| host.source_path.is_some())),
        (
            "dockerVolumeConfiguration",
            volume.docker_volume_configuration.is_some(),
        ),
        (
            "efsVolumeConfiguration",
            volume.efs_volume_configuration.is_some(),
        ),
        (
            "s3filesVolumeConfiguration",
            volume.s3files_volume_configuration.is_some(),
        ),
        (
            "fsxWindowsFileServerVolumeConfiguration",
            volume
                .fsx_windows_file_server_volume_configuration
                .is_some(),
        ),
    ];
    fields
        .into_iter()
        .filter_map(|(field, is_set)| is_set.then_some(field))
        .collect()
}
