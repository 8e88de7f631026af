use super::{Report, Rule, containers};
use crate::finding::Severity;
use crate::placeholder::placeholder;
use crate::read::Located;
use crate::spelling::nearest;

pub(super) const RULE: Rule = Rule {
    id: "V02",
    severity: Severity::Error,
    title: "a mount point names a volume of the task and a path of its own",
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
    check,
};

fn check(located: &Located, report: &mut Report) {
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
            let open = volumes().any(|volume| placeholder(volume).is_some());
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
                report.say(pointer, meant);
            }

            let pointer = format!("{pointer}/containerPath");
            let windows = path.chars().nth(1) == Some(':');
            if !path.starts_with('/') && !windows {
                let message = format!(
                    "`{}` mounts `{name}` at `{path}`, which is not absolute",
                    one.name
                );
                report.add(pointer.clone(), message, format!("write /{path}"));
                report.say(pointer, Some(&format!("/{path}")));
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
