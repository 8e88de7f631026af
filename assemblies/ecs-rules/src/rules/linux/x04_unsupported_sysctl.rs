use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, shares_network};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X04",
    name: "unsupported-sysctl",
    severity: Severity::Error,
    title: "kernel setting is not supported",
    explanation: "systemControls may set values that the kernel keeps per network or IPC namespace: \
                  net.*, fs.mqueue.* and kernel.msgmax, msgmnb, msgmni, sem, shmall, shmmax, shmmni \
                  and shm_rmid_forced. Fargate supports all of them; guides from before 2023 differ. \
                  Any other setting affects the host, and the container does not start. With ipcMode \
                  host the IPC settings belong to the host. Containers with a shared network share \
                  net.*: if two values differ, the container started last wins.",
    source: "ECS API, SystemControl, fields namespace and value; RegisterTaskDefinition, field \
                  ipcMode",
    hint: "Use a net.* or IPC setting.",
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
      "systemControls": [
        { "namespace": "net.ipv4.tcp_keepalive_time", "value": "500" },
        { "namespace": "kernel.shmmax", "value": "68719476736" }
      ]
    }
  ]
}"#,
    // vm.max_map_count is not namespaced.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "systemControls": [{ "namespace": "vm.max_map_count", "value": "262144" }] }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let shared = shares_network(located);
    let has_host_ipc = located.definition.ipc_mode.as_deref() == Some("host");
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();

    for (pointer, container) in containers(located) {
        for (index, control) in container.system_controls.iter().enumerate() {
            let (key, value) = (control.namespace.as_str(), control.value.as_str());
            let control_pointer = format!("{pointer}/systemControls/{index}");
            let pointer = format!("{control_pointer}/namespace");
            let is_network = key.starts_with("net.");

            if !is_network && !is_ipc(key) {
                let message = format!("`{key}` of `{}` belongs to the host", container.name);
                let hint = "remove it; net.*, fs.mqueue.* and some of kernel.* can be set";
                report.add(pointer, message, hint);
                report.fix(
                    format!("remove `{key}`"),
                    vec![Edit::Remove(control_pointer)],
                );
            } else if has_host_ipc && !is_network {
                let message = format!("with ipcMode host, `{key}` belongs to the host");
                report.add(pointer, message, "remove it, or `ipcMode`");
            } else if let Some((_, other, owner)) = seen
                .iter()
                .find(|(known, other, _)| shared && is_network && *known == key && *other != value)
            {
                let message = format!(
                    "`{key}` is {other} in `{owner}` and {value} in `{}`, which share one network",
                    container.name
                );
                // ECS accepts the definition; the order of starts decides the value.
                report.warn(pointer, message, "write the same value in both");
            }
            seen.push((key, value, &container.name));
        }
    }
}

fn is_ipc(key: &str) -> bool {
    key.starts_with("fs.mqueue.") || IPC.contains(&key)
}

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];
