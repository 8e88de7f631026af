use crate::finding::Severity;
use crate::placeholder::find_placeholder;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};
use crate::spelling::nearest;

pub(super) const RULE: Rule = Rule {
    id: "V02",
    name: "invalid-mount-point",
    severity: Severity::Error,
    title: "mount point with an unknown volume or a duplicate path",
    explanation: "sourceVolume is the name of a volume as it is written, capitals included. \
                  containerPath is absolute, and a container has each path once.",
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
    failing: r#"{
  "family": "web",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "mountPoints": [{ "sourceVolume": "Scratch", "containerPath": "/tmp" }],
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let volumes = || {
            located
                .definition
                .volumes
                .iter()
                .map(|volume| volume.name.as_str())
        };
        for (index, mount) in one.mount_points.iter().enumerate() {
            let pointer = format!("{pointer}/mountPoints/{index}");
            let (name, path) = (mount.source_volume.as_str(), &mount.container_path);
            let open = volumes().any(|volume| find_placeholder(volume).is_some());
            if !open && !volumes().any(|volume| volume == name) {
                let meant = nearest(name, volumes());
                let hint = match meant {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("add {{ \"name\": \"{name}\" }} to volumes"),
                };

                let message = format!(
                    "`{}` mounts `{name}`, which is no volume of the task",
                    one.name
                );
                let pointer = format!("{pointer}/sourceVolume");

                report.add(pointer.clone(), message, hint);
                report.fix_value(pointer, meant);
            }

            let pointer = format!("{pointer}/containerPath");
            let windows = path.chars().nth(1) == Some(':');
            if !path.starts_with('/') && !windows {
                let message = format!(
                    "`{}` mounts `{name}` at `{path}`, which is not absolute",
                    one.name
                );
                report.add(pointer.clone(), message, format!("write /{path}"));
                report.fix_value(pointer, Some(&format!("/{path}")));
            } else if one.mount_points[..index]
                .iter()
                .any(|other| other.container_path == *path)
            {
                let message = format!("`{}` mounts two volumes at `{path}`", one.name);
                report.add(pointer, message, "give one of them another path");
            }
        }
    }
}
