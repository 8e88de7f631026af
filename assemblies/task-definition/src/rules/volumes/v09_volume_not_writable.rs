use crate::container::ContainerDefinition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::images;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};
use crate::volume::Volume;

pub(super) const RULE: Rule = Rule {
    id: "V09",
    name: "volume-not-writable",
    severity: Severity::Warning,
    title: "volume is not writable by the container's user",
    explanation: "A volume of the task's own disk belongs to root on Fargate, and a user who is not \
                  root cannot write into it. Two things help: an image whose Dockerfile makes the \
                  folder, gives it to that user and declares it with VOLUME, or a container that \
                  runs as root and hands the folder over first. The second is looked for; the first \
                  cannot be seen here, except for images of this toolkit, which declare what they \
                  write to.",
    source: "aws/containers-roadmap#938; ECS developer guide, bind mounts",
    hint: "Declare the folder with VOLUME in the image, use a tmpfs, or hand it over in a \
                  container that runs as root.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [
    {
      "name": "owner",
      "image": "owner:1",
      "essential": false,
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/data" }]
    },
    {
      "name": "app",
      "image": "app:1",
      "user": "1000",
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/data" }],
      "dependsOn": [{ "containerName": "owner", "condition": "SUCCESS" }]
    }
  ]
}"#,
    failing: r#"{
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
      "user": "1000",
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/data" }]
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if !definition.is_fargate() || definition.is_windows() {
        return;
    }

    for volume in definition.volumes.iter().filter(|volume| is_plain(volume)) {
        let mounts = |one: &ContainerDefinition| {
            let mut points = one.mount_points.iter();
            points.position(|mount| {
                mount.source_volume == volume.name && mount.read_only != Some(true)
            })
        };

        // Somebody who may be root can hand the folder over.
        if containers(located).any(|(_, one)| mounts(one).is_some() && !is_other(one)) {
            continue;
        }

        let mut writers = containers(located).filter(|(_, one)| !images::is_ours(&one.image));
        let first = writers.find_map(|(pointer, one)| Some((pointer, one, mounts(one)?)));
        let Some((pointer, one, index)) = first else {
            continue;
        };
        let user = one.user.as_deref().unwrap_or_default();
        let message = format!(
            "the volume `{}` belongs to root; user `{user}` of `{}` can write into it only if the image says so",
            volume.name, one.name
        );
        let hint = "declare the folder with VOLUME and that owner in the image, or use a tmpfs";
        report.add(format!("{pointer}/mountPoints/{index}"), message, hint);
    }
}

/// Whether the container certainly does not run as root.
fn is_other(one: &ContainerDefinition) -> bool {
    let user = one.user.as_deref().and_then(|user| user.split(':').next());
    user.is_some_and(|user| !matches!(user, "root" | "0" | ""))
}

/// Whether the volume is a piece of the task's own disk.
fn is_plain(volume: &Volume) -> bool {
    let bare = Volume {
        name: volume.name.clone(),
        host: volume.host.clone(),
        ..Volume::default()
    };
    *volume == bare
}
