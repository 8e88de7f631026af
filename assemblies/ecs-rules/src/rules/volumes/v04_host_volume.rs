use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V04",
    name: "host-volume",
    severity: Severity::Error,
    title: "host volumes are not supported",
    explanation: "Host folders, Docker volumes and FSx for Windows File Server require EC2. Fargate \
                  supports ephemeral storage, EFS, S3 Files, and EBS configured at launch.",
    source: "ECS API, Volume; developer guide, Fargate",
    hint: "Remove host.sourcePath or dockerVolumeConfiguration, or use EFS.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/data" }]
    }
  ]
}"#,
    // A host folder.
    failing: Failing::Change(
        r#""name": "scratch""#,
        r#""name": "scratch", "host": { "sourcePath": "/data" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !located.definition.is_fargate() {
        return;
    }
    for (index, volume) in located.definition.volumes.iter().enumerate() {
        let name = &volume.name;
        let pointer = format!("/volumes/{index}");
        let hint = "remove it to use ephemeral storage, or use EFS";

        if volume
            .host
            .as_ref()
            // An empty `host` is a bind mount on ephemeral storage, which Fargate supports.
            .is_some_and(|host| host.source_path.is_some())
        {
            let message = format!("the volume `{name}` is a folder of the host");
            report.add(format!("{pointer}/host/sourcePath"), message, hint);
        }

        if volume.docker_volume_configuration.is_some() {
            let message =
                format!("the volume `{name}` is a Docker volume, which Fargate does not support");
            report.add(
                format!("{pointer}/dockerVolumeConfiguration"),
                message,
                hint,
            );
        }

        if volume
            .fsx_windows_file_server_volume_configuration
            .is_some()
        {
            let message =
                format!("the volume `{name}` is FSx for Windows, which Fargate does not support");
            report.add(
                format!("{pointer}/fsxWindowsFileServerVolumeConfiguration"),
                message,
                hint,
            );
        }
    }
}
