use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition, Volume};

use crate::images::{ImageFact, ImageFacts};
use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V09",
    name: "volume-not-writable",
    severity: Severity::Warning,
    title: "volume is not writable by the container's user",
    explanation: "On Fargate a bind mount volume belongs to root, and other users cannot write to \
                  it. Either the Dockerfile creates the folder, changes its owner and declares it \
                  with VOLUME, or a container that runs as root changes the owner first. The rule \
                  detects the second, and the first with `check --images`; without it images that are \
                  known to declare the folders they write to are skipped.",
    source: "aws/containers-roadmap#938; ECS developer guide, bind mounts",
    hint: "Declare the folder with VOLUME in the image, use a tmpfs, or change its owner in a \
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
    // No container that may run as root mounts the volume.
    failing: Failing::Document(
        r#"{
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
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let images = report.images();
    if !definition.is_fargate() || definition.is_windows() {
        return;
    }

    for volume in definition
        .volumes
        .iter()
        .filter(|volume| is_bind_mount(volume))
    {
        let mounts = |container: &ContainerDefinition| {
            let mut points = container.mount_points.iter();
            points.position(|mount| {
                mount.source_volume == volume.name && mount.read_only != Some(true)
            })
        };

        // A container that may run as root can change the owner for the others.
        if containers(located)
            .any(|(_, container)| mounts(container).is_some() && !is_not_root(container, images))
        {
            continue;
        }

        let first = containers(located).find_map(|(pointer, container)| {
            let index = mounts(container)?;
            let path = &container.mount_points[index].container_path;
            (!owns(container, path, images)).then_some((pointer, container, index))
        });
        let Some((pointer, container, index)) = first else {
            continue;
        };
        let user = user_of(container, images).unwrap_or_default();
        let message = format!(
            "the volume `{}` belongs to root; user `{user}` of `{}` can only write to it if the image changes its owner",
            volume.name, container.name
        );
        let hint = "declare the folder with VOLUME and that owner in the image, or use a tmpfs";
        report.add(format!("{pointer}/mountPoints/{index}"), message, hint);
    }
}

/// Returns whether the image prepares the volume for the container's user.
fn owns(container: &ContainerDefinition, path: &str, images: &ImageFacts) -> bool {
    match images.find_inspected(container) {
        Some(image) => image.owns_volume(path, image.user_of(container).unwrap_or("0")),
        None => images.has(&container.image, ImageFact::OwnsVolumes),
    }
}

/// Returns whether the container certainly does not run as root.
fn is_not_root(container: &ContainerDefinition, images: &ImageFacts) -> bool {
    // Without `user` the image decides, which is unknown unless it was read.
    user_of(container, images).is_some_and(|user| !matches!(user, "root" | "0" | ""))
}

fn user_of<'c>(container: &'c ContainerDefinition, images: &'c ImageFacts) -> Option<&'c str> {
    match images.find_inspected(container) {
        Some(image) => Some(image.user_of(container).unwrap_or("0")),
        None => container.user.as_deref()?.split(':').next(),
    }
}

/// Returns whether the volume is a bind mount on ephemeral storage.
fn is_bind_mount(volume: &Volume) -> bool {
    let bare = Volume {
        name: volume.name.clone(),
        host: volume.host.clone(),
        ..Volume::default()
    };
    *volume == bare
}
