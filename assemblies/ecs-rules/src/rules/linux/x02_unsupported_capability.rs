use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X02",
    name: "unsupported-capability",
    severity: Severity::Error,
    title: "unknown or unsupported Linux capability",
    explanation: "A container may drop any capability. On Fargate it may only add SYS_PTRACE.",
    source: "ECS API, KernelCapabilities",
    hint: "Remove it from add.",
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
      "linuxParameters": { "capabilities": { "add": ["SYS_PTRACE"], "drop": ["ALL"] } }
    }
  ]
}"#,
    // NET_ADMIN is not available on Fargate.
    failing: Failing::Change(
        r#""add": ["SYS_PTRACE"], "drop": ["ALL"]"#,
        r#""add": ["NET_ADMIN"]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(linux) = &container.linux_parameters else {
            continue;
        };
        let Some(capabilities) = &linux.capabilities else {
            continue;
        };
        let pointer = format!("{pointer}/linuxParameters/capabilities");

        for (list, words) in [("add", &capabilities.add), ("drop", &capabilities.drop)] {
            for (index, word) in words.iter().enumerate() {
                let pointer = format!("{pointer}/{list}/{index}");
                let is_unsupported =
                    list == "add" && located.definition.is_fargate() && word != "SYS_PTRACE";
                // A misspelt capability is an unknown value instead.
                if is_unsupported && KNOWN.contains(&word.as_str()) {
                    let message = format!("`{}` cannot add {word} on Fargate", container.name);
                    let hint = "remove it; only SYS_PTRACE can be added";
                    report.add(pointer.clone(), message, hint);
                    report.fix(format!("remove {word}"), vec![Edit::Remove(pointer)]);
                } else {
                    report.check_enum(&pointer, Some(word), &KNOWN);
                }
            }
        }
    }
}

const KNOWN: [&str; 38] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];
