use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, shares_network};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X04",
    name: "unsupported-sysctl",
    severity: Severity::Error,
    title: "kernel setting is not supported",
    explanation: "systemControls may set what the kernel keeps apart for each network or IPC \
                  namespace: net.*, fs.mqueue.* and kernel.msgmax, msgmnb, msgmni, sem, shmall, \
                  shmmax, shmmni and shm_rmid_forced. Fargate has all of them; guides from before \
                  2023 say otherwise. Anything else would change the machine and stops the \
                  container. With ipcMode host the IPC settings are the machine's. Containers that \
                  share one network share net.*: where two of them differ, the one started last \
                  wins.",
    source: "ECS API, SystemControl, fields namespace and value; RegisterTaskDefinition, field \
                  ipcMode",
    hint: "Use a setting of net.* or of IPC.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "systemControls": [{ "namespace": "vm.max_map_count", "value": "262144" }] }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let shared = shares_network(located);
    let machines = located.definition.ipc_mode.as_deref() == Some("host");
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();

    for (pointer, one) in containers(located) {
        for (index, control) in one.system_controls.iter().enumerate() {
            let (key, value) = (control.namespace.as_str(), control.value.as_str());
            let control_at = format!("{pointer}/systemControls/{index}");
            let pointer = format!("{control_at}/namespace");
            let network = key.starts_with("net.");

            if !network && !is_ipc(key) {
                let message = format!("`{key}` of `{}` is a setting of the machine", one.name);
                let hint = "remove it; net.*, fs.mqueue.* and some of kernel.* can be set";
                report.add(pointer, message, hint);
                report.fix(format!("remove `{key}`"), vec![Edit::Remove(control_at)]);
            } else if machines && !network {
                let message = format!("with ipcMode host, `{key}` is a setting of the machine");
                report.add(pointer, message, "remove it, or `ipcMode`");
            } else if let Some((_, other, owner)) = seen
                .iter()
                .find(|(known, other, _)| shared && network && *known == key && *other != value)
            {
                let message = format!(
                    "`{key}` is {other} in `{owner}` and {value} in `{}`, which share one network",
                    one.name
                );
                report.warn(pointer, message, "write the same value in both");
            }
            seen.push((key, value, &one.name));
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
