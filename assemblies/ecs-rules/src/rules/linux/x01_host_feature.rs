use diagnostics::{Edit, Severity};
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X01",
    name: "host-feature",
    severity: Severity::Error,
    title: "host or bridge-network feature",
    explanation: "privileged, devices, swap, shared memory size, links, security options and \
                  disableNetworking require access to the host. hostname, extraHosts and DNS \
                  settings are not supported with awsvpc on Fargate; links, hostname and extraHosts \
                  are not supported with awsvpc on EC2 either.",
    source: "ECS API, ContainerDefinition and LinuxParameters; developer guide, Fargate",
    hint: "Remove the field.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "readonlyRootFilesystem": true }]
}"#,
    // privileged grants root privileges on the host.
    failing: Failing::Change(r#""readonlyRootFilesystem": true"#, r#""privileged": true"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let fargate = located.definition.is_fargate();
    let awsvpc = located.definition.network_mode.as_deref() == Some("awsvpc");
    for (pointer, container) in containers(located) {
        for field in host_features(container) {
            let reason = if fargate {
                "is not supported on Fargate"
            } else if awsvpc && BRIDGE_ONLY.contains(&field) {
                "is not supported with network mode awsvpc"
            } else {
                continue;
            };

            let message = format!("`{}` of `{}` {reason}", field_name(field), container.name);
            let pointer = format!("{pointer}/{field}");
            let hint = format!("remove `{}`", field_name(field));
            report.add(pointer.clone(), message, hint.clone());
            // The field has no effect to preserve.
            report.fix(hint, vec![Edit::Remove(pointer)]);
        }
    }
}

/// Fields that awsvpc does not support, on any platform.
const BRIDGE_ONLY: [&str; 3] = ["links", "hostname", "extraHosts"];

fn field_name(field: &str) -> &str {
    field.rsplit('/').next().unwrap_or(field)
}

fn host_features(container: &ContainerDefinition) -> impl Iterator<Item = &'static str> {
    let linux = container.linux_parameters.clone().unwrap_or_default();
    [
        // Values that equal the default are accepted.
        ("privileged", container.privileged == Some(true)),
        ("links", !container.links.is_empty()),
        ("hostname", container.hostname.is_some()),
        ("extraHosts", !container.extra_hosts.is_empty()),
        ("dnsServers", !container.dns_servers.is_empty()),
        ("dnsSearchDomains", !container.dns_search_domains.is_empty()),
        (
            "dockerSecurityOptions",
            !container.docker_security_options.is_empty(),
        ),
        (
            "disableNetworking",
            container.disable_networking == Some(true),
        ),
        ("linuxParameters/devices", !linux.devices.is_empty()),
        (
            "linuxParameters/sharedMemorySize",
            linux.shared_memory_size.is_some(),
        ),
        ("linuxParameters/maxSwap", linux.max_swap.is_some()),
        ("linuxParameters/swappiness", linux.swappiness.is_some()),
    ]
    .into_iter()
    .filter_map(|(field, is_set)| is_set.then_some(field))
}
