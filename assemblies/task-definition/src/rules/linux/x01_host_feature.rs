use crate::container::ContainerDefinition;
use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X01",
    name: "host-feature",
    severity: Severity::Error,
    title: "host or bridge-network feature",
    explanation: "privileged, devices, swap, shared memory size, links, security options and \
                  disableNetworking need your own machine. hostname, extraHosts and DNS settings \
                  do not go together with awsvpc, which is all that Fargate has; links, hostname and extraHosts do not on EC2 either.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "privileged": true }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let fargate = located.definition.is_fargate();
    let awsvpc = located.definition.network_mode.as_deref() == Some("awsvpc");
    for (pointer, one) in containers(located) {
        for field in forbidden(one) {
            let why = if fargate {
                "does not exist on Fargate"
            } else if awsvpc && OF_DOCKERS_NETWORK.contains(&field) {
                "does not go together with the network mode awsvpc"
            } else {
                continue;
            };

            let message = format!("`{}` of `{}` {why}", last(field), one.name);
            let pointer = format!("{pointer}/{field}");
            let hint = format!("remove `{}`", last(field));
            report.add(pointer.clone(), message, hint.clone());
            report.fix(hint, vec![Edit::Remove(pointer)]);
        }
    }
}

/// What awsvpc leaves no room for, wherever the task runs.
const OF_DOCKERS_NETWORK: [&str; 3] = ["links", "hostname", "extraHosts"];

fn last(field: &str) -> &str {
    field.rsplit('/').next().unwrap_or(field)
}

fn forbidden(one: &ContainerDefinition) -> impl Iterator<Item = &'static str> {
    let linux = one.linux_parameters.clone().unwrap_or_default();
    [
        ("privileged", one.privileged == Some(true)),
        ("links", !one.links.is_empty()),
        ("hostname", one.hostname.is_some()),
        ("extraHosts", !one.extra_hosts.is_empty()),
        ("dnsServers", !one.dns_servers.is_empty()),
        ("dnsSearchDomains", !one.dns_search_domains.is_empty()),
        (
            "dockerSecurityOptions",
            !one.docker_security_options.is_empty(),
        ),
        ("disableNetworking", one.disable_networking == Some(true)),
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
