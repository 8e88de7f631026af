use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X07",
    name: "invalid-tmpfs",
    severity: Severity::Error,
    title: "invalid tmpfs",
    explanation: "tmpfs has an absolute path, a size of at least 1 MiB and mount options. Fargate \
                  supports it since January 2026; older guides differ.",
    source: "ECS API, Tmpfs; aws/containers-roadmap#736",
    hint: "Use an absolute path and a size.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "linuxParameters": {
        "tmpfs": [{ "containerPath": "/tmp", "size": 64, "mountOptions": ["noexec", "nosuid"] }]
      }
    }
  ]
}"#,
    // The path is relative.
    failing: Failing::Change(
        r#""linuxParameters": {
        "tmpfs": [{ "containerPath": "/tmp", "size": 64, "mountOptions": ["noexec", "nosuid"] }]
      }"#,
        r#""linuxParameters": { "tmpfs": [{ "containerPath": "tmp", "size": 64 }] }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let tmpfs = container
            .linux_parameters
            .iter()
            .flat_map(|linux| &linux.tmpfs);
        for (index, folder) in tmpfs.enumerate() {
            let pointer = format!("{pointer}/linuxParameters/tmpfs/{index}");
            if !folder.container_path.starts_with('/') {
                let message = format!("`{}` is not an absolute path", folder.container_path);
                let hint = format!("write /{}", folder.container_path);
                let pointer = format!("{pointer}/containerPath");
                report.add(pointer.clone(), message, hint);
                report.fix_value(pointer, Some(&format!("/{}", folder.container_path)));
            }

            if folder.size == 0 {
                report.add(
                    format!("{pointer}/size"),
                    "the size is 0 MiB",
                    "write 1 or more",
                );
            }

            for (number, option) in folder.mount_options.iter().enumerate() {
                let pointer = format!("{pointer}/mountOptions/{number}");
                // Options such as `mode=1777` have a value, which the kernel checks.
                match option.split_once('=') {
                    None => report.check_enum(&pointer, Some(option), &OPTIONS),
                    Some((word, _)) if !OPTIONS.contains(&word) => {
                        let message = format!("`{word}` is not a mount option");
                        report.add(pointer, message, "remove it, or correct its spelling");
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

const OPTIONS: [&str; 39] = [
    "defaults",
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "sync",
    "async",
    "dirsync",
    "remount",
    "mand",
    "nomand",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "bind",
    "rbind",
    "unbindable",
    "runbindable",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "mpol",
];
