use diagnostics::{Severity, nearest};
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V02",
    name: "invalid-mount-point",
    severity: Severity::Error,
    title: "mount point with an unknown volume or a duplicate path",
    explanation: "sourceVolume is the name of a volume and is case-sensitive. containerPath is \
                  absolute and unique in its container.",
    source: "ECS API, MountPoint",
    hint: "Declare the volume, or correct the name.",
    passing: r#"{
  "family": "web",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/tmp" }],
      "memory": 128
    }
  ]
}"#,
    // The names differ in the case of a letter.
    failing: Failing::Change(
        r#""sourceVolume": "scratch""#,
        r#""sourceVolume": "Scratch""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let volumes = || {
            located
                .definition
                .volumes
                .iter()
                .map(|volume| volume.name.as_str())
        };
        for (index, mount) in container.mount_points.iter().enumerate() {
            let pointer = format!("{pointer}/mountPoints/{index}");
            let (name, path) = (mount.source_volume.as_str(), &mount.container_path);
            // A placeholder may become the missing name.
            let has_placeholder = volumes().any(|volume| find_placeholder(volume).is_some());
            if !has_placeholder && !volumes().any(|volume| volume == name) {
                let suggestion = nearest(name, volumes());
                let hint = match suggestion {
                    Some(suggestion) => format!("did you mean `{suggestion}`?"),
                    None => format!("add {{ \"name\": \"{name}\" }} to volumes"),
                };

                let message = format!(
                    "`{}` mounts `{name}`, which is not a volume of the task",
                    container.name
                );
                let pointer = format!("{pointer}/sourceVolume");

                report.add(pointer.clone(), message, hint);
                report.fix_value(pointer, suggestion);
            }

            let pointer = format!("{pointer}/containerPath");
            // `C:\data` is absolute on Windows.
            let is_windows_path = path.chars().nth(1) == Some(':');
            if !path.starts_with('/') && !is_windows_path {
                let message = format!(
                    "`{}` mounts `{name}` at `{path}`, which is not absolute",
                    container.name
                );
                report.add(pointer.clone(), message, format!("write /{path}"));
                report.fix_value(pointer, Some(&format!("/{path}")));
            } else if container.mount_points[..index]
                .iter()
                .any(|other| other.container_path == *path)
            {
                let message = format!("`{}` mounts two volumes at `{path}`", container.name);
                report.add(pointer, message, "give one of them another path");
            }
        }
    }
}
