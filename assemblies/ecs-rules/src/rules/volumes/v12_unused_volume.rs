use diagnostics::Severity;
use task_definition::{LocatedDefinition, find_placeholder};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V12",
    name: "unused-volume",
    severity: Severity::Warning,
    title: "volume is not mounted",
    explanation: "A volume that no container mounts has no effect. Usually the mount point is \
                  missing, and the program writes to the container's own file system, which is lost \
                  or read-only. V05 reports volumes that are configured at launch.",
    source: "ECS API, Volume and MountPoint",
    hint: "Add a mount point, or remove the volume.",
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
    // The mount point is missing.
    failing: Failing::Change(
        r#"
      "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/tmp" }],"#,
        "",
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let mounted: Vec<&str> = containers(located)
        .flat_map(|(_, container)| &container.mount_points)
        .map(|mount| mount.source_volume.as_str())
        .collect();
    let volumes: Vec<&str> = located
        .definition
        .volumes
        .iter()
        .map(|volume| volume.name.as_str())
        .collect();

    // V02 reports a mount of an unknown name, which is probably meant for one of the volumes.
    let is_known = |name: &&str| volumes.contains(name) && find_placeholder(name).is_none();
    if !mounted.iter().all(is_known) {
        return;
    }

    for (index, volume) in located.definition.volumes.iter().enumerate() {
        let name = volume.name.as_str();
        let is_used = mounted.contains(&name) || volume.configured_at_launch == Some(true);
        if !is_used && find_placeholder(name).is_none() {
            let message = format!("no container mounts the volume `{name}`");
            let hint = format!(
                "add {{ \"sourceVolume\": \"{name}\", \"containerPath\": \"/…\" }} to the mountPoints of a container, or remove the volume"
            );
            report.add(format!("/volumes/{index}"), message, hint);
        }
    }
}
