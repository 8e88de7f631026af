use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::images::ImageFact;
use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "V08",
    name: "no-writable-path",
    severity: Severity::Warning,
    title: "program writes, but the root file system is read-only",
    explanation: "With readonlyRootFilesystem a container can only write to mounted volumes and \
                  tmpfs. Programs such as nginx or PostgreSQL write a pid file, a socket or a cache \
                  at startup, and exit if they cannot. The rule recognizes well-known images by \
                  name; a program that writes nothing is accepted. ECS Exec also writes: its agent \
                  does not start in such a container.",
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
    // nginx writes to /var/cache/nginx at startup.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "web", "image": "nginx:1.29", "readonlyRootFilesystem": true }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    for (pointer, container) in containers(located) {
        let tmpfs = container
            .linux_parameters
            .iter()
            .flat_map(|linux| &linux.tmpfs);
        let mounts = container.mount_points.iter();
        // Any writable mount may be the path that the program needs.
        let can_write = tmpfs.count() > 0
            || mounts.filter(|mount| mount.read_only != Some(true)).count() > 0
            || container
                .volumes_from
                .iter()
                .any(|from| from.read_only != Some(true));

        if container.readonly_root_filesystem == Some(true)
            && !can_write
            && images.has(&container.image, ImageFact::WritesAtStartup)
        {
            let message = format!(
                "`{}` writes at startup, but its root file system is read-only",
                container.name
            );
            let hint = "mount a tmpfs or a volume where it writes";
            report.add(format!("{pointer}/readonlyRootFilesystem"), message, hint);
        }
    }
}
