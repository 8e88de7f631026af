use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::images;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V08",
    name: "no-writable-path",
    severity: Severity::Warning,
    title: "program writes, but the root file system is read-only",
    explanation: "With readonlyRootFilesystem a container can write only where a volume or a folder \
                  in memory is mounted. Programs such as nginx or PostgreSQL write a pid file, a \
                  socket or a cache when they start, and end at once when they cannot. Known by the \
                  names of well-known images; a program that writes nothing is no breach. ECS Exec \
                  writes too: its agent does not start in such a container.",
    source: "ECS developer guide, ECS Exec, considerations; ECS API, ContainerDefinition, field \
                  readonlyRootFilesystem",
    hint: "Mount a volume or a tmpfs where the program writes.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "web",
      "image": "nginx:1.29",
      "readonlyRootFilesystem": true,
      "linuxParameters": { "tmpfs": [{ "containerPath": "/var/cache/nginx", "size": 16 }] }
    }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "web", "image": "nginx:1.29", "readonlyRootFilesystem": true }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let folders = one.linux_parameters.iter().flat_map(|linux| &linux.tmpfs);
        let mounts = one.mount_points.iter();
        let can_write = folders.count() > 0
            || mounts.filter(|mount| mount.read_only != Some(true)).count() > 0
            || one
                .volumes_from
                .iter()
                .any(|from| from.read_only != Some(true));

        if one.readonly_root_filesystem == Some(true) && !can_write && images::writes(&one.image) {
            let message = format!(
                "`{}` writes when it starts, and all its files are read-only",
                one.name
            );
            let hint = "mount a tmpfs or a volume where it writes";
            report.add(format!("{pointer}/readonlyRootFilesystem"), message, hint);
        }
    }
}
