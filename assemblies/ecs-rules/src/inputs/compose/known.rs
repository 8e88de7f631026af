//! The fields of Compose: those that are converted, those that mean nothing on ECS, and those without a counterpart.

use diagnostics::nearest;
use diagnostics::source::{Key, Node};
use task_definition::UNKNOWN_FIELD;

use super::service::field_span;
use crate::inputs::derived::Notes;
use crate::inputs::derived::shape::{Shape, report_shape};

/// Reports the fields at the top of the file.
pub(super) fn report_top_level(root: &Node, notes: &mut Notes<'_>) {
    for (key, value) in root.entries() {
        match key.name.as_str() {
            "services" | "volumes" | "name" | "version" => {}
            "include" => notes.add(
                key.span,
                "`include` is not evaluated: pass the included files too",
            ),
            "networks" => {
                let message =
                    "`networks` is not evaluated: the containers of a task share one network";
                notes.add(key.span, message);
            }
            "configs" | "secrets" | "models" => {
                if !value.entries().is_empty() {
                    notes.add(
                        key.span,
                        format!("`{}` is not evaluated: {FILES}", key.name),
                    );
                }
            }
            other if is_extension(other) => {}
            _ => report_unknown("a Compose file", key, &TOP_LEVEL, notes),
        }
    }
}

const TOP_LEVEL: [&str; 9] = [
    "services", "volumes", "name", "version", "include", "networks", "configs", "secrets", "models",
];

const FILES: &str =
    "ECS has no mounted secrets and configs; it sets secrets as environment variables";

/// Reports the fields of a service that are not converted.
pub(super) fn report_service(name: &str, service: &Node, notes: &mut Notes<'_>) {
    for (key, value) in service.entries() {
        let field = key.name.as_str();
        report_shape(
            &format!("`{field}` of `{name}`"),
            field,
            value,
            &SHAPES,
            notes,
        );
        if is_extension(field) || CONVERTED.contains(&field) || WITHOUT_MEANING.contains(&field) {
            continue;
        }
        if let Some((_, reason)) = NO_COUNTERPART.iter().find(|(known, _)| *known == field) {
            let message = format!("`{field}` of `{name}` is not evaluated: {reason}");
            notes.add(field_span(service, field), message);
            continue;
        }

        let all: Vec<&str> = CONVERTED
            .iter()
            .chain(&WITHOUT_MEANING)
            .copied()
            .chain(NO_COUNTERPART.iter().map(|(known, _)| *known))
            .collect();
        report_unknown(&format!("the service `{name}`"), key, &all, notes);
    }
    report_deploy(name, service, notes);
}

fn report_deploy(name: &str, service: &Node, notes: &mut Notes<'_>) {
    let deploy = service.get("deploy").map_or(&[][..], Node::entries);
    for (key, value) in deploy {
        let is_one = key.name == "replicas" && notes.known_text(value).as_deref() == Some("1");
        if key.name == "resources" || key.name == "labels" || is_one || is_extension(&key.name) {
            continue;
        }
        let reason = match key.name.as_str() {
            "replicas" => "the desired count of an ECS service counts whole tasks",
            _ => "it belongs to the ECS service, not to the task",
        };
        let message = format!(
            "`deploy.{}` of `{name}` is not evaluated: {reason}",
            key.name
        );
        notes.add(key.span, message);
    }
}

/// The fields of a service that are collections.
const SHAPES: [(&str, Shape); 17] = [
    ("ports", Shape::List),
    ("expose", Shape::List),
    ("volumes", Shape::List),
    ("volumes_from", Shape::List),
    ("cap_add", Shape::List),
    ("cap_drop", Shape::List),
    ("devices", Shape::List),
    ("security_opt", Shape::List),
    ("healthcheck", Shape::Map),
    ("logging", Shape::Map),
    ("deploy", Shape::Map),
    ("ulimits", Shape::Map),
    ("environment", Shape::Either),
    ("depends_on", Shape::Either),
    ("labels", Shape::Either),
    ("sysctls", Shape::Either),
    ("extra_hosts", Shape::Either),
];

fn report_unknown(what: &str, key: &Key, known: &[&str], notes: &mut Notes<'_>) {
    let hint = match nearest(&key.name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "remove it, or begin its name with `x-`".to_owned(),
    };
    let message = format!("{what} has no field `{}`", key.name);
    notes.error(UNKNOWN_FIELD, key.span, message, hint);
}

fn is_extension(field: &str) -> bool {
    field.starts_with("x-") || field == "<<"
}

/// The fields that are converted, or reported where they are converted.
const CONVERTED: [&str; 42] = [
    "image",
    "build",
    "entrypoint",
    "command",
    "user",
    "working_dir",
    "hostname",
    "privileged",
    "read_only",
    "tty",
    "stdin_open",
    "dns",
    "dns_search",
    "security_opt",
    "stop_grace_period",
    "labels",
    "sysctls",
    "extra_hosts",
    "ports",
    "expose",
    "depends_on",
    "healthcheck",
    "environment",
    "logging",
    "ulimits",
    "volumes_from",
    "volumes",
    "tmpfs",
    "cap_add",
    "cap_drop",
    "devices",
    "init",
    "shm_size",
    "mem_swappiness",
    "platform",
    "pid",
    "ipc",
    "deploy",
    "cpus",
    "mem_limit",
    "mem_reservation",
    "restart",
];

/// The fields that say how Compose works, or what ECS does without being told.
const WITHOUT_MEANING: [&str; 9] = [
    "container_name",
    "pull_policy",
    "attach",
    "develop",
    "annotations",
    "profiles",
    "gpus",
    "links",
    "networks",
];

/// The fields without a counterpart in a task definition, and why.
const NO_COUNTERPART: [(&str, &str); 41] = [
    ("env_file", "its variables are not in this file"),
    (
        "extends",
        "the fields of the extended service are taken as unknown",
    ),
    ("provider", "another program runs it"),
    ("secrets", FILES),
    ("configs", FILES),
    ("models", "ECS runs no models"),
    (
        "scale",
        "the desired count of an ECS service counts whole tasks",
    ),
    ("network_mode", "the containers of a task share one network"),
    ("stop_signal", "ECS sends the `STOPSIGNAL` of the image"),
    (
        "pids_limit",
        "ECS has no limit for processes; see `ulimits`",
    ),
    ("post_start", "ECS runs no hooks"),
    ("pre_stop", "ECS runs no hooks"),
    ("label_file", "its labels are not in this file"),
    ("external_links", NETWORK),
    ("mac_address", NETWORK),
    ("domainname", NETWORK),
    ("dns_opt", NETWORK),
    ("credential_spec", "ECS has it for Windows on EC2 only"),
    ("memswap_limit", HOST),
    ("oom_kill_disable", HOST),
    ("oom_score_adj", HOST),
    ("group_add", HOST),
    ("cgroup", HOST),
    ("cgroup_parent", HOST),
    ("device_cgroup_rules", HOST),
    ("userns_mode", HOST),
    ("uts", HOST),
    ("runtime", HOST),
    ("isolation", HOST),
    ("storage_opt", HOST),
    ("blkio_config", HOST),
    ("cpu_count", HOST),
    ("cpu_percent", HOST),
    ("cpu_shares", HOST),
    ("cpu_period", HOST),
    ("cpu_quota", HOST),
    ("cpu_rt_runtime", HOST),
    ("cpu_rt_period", HOST),
    ("cpuset", HOST),
    ("driver_opts", NETWORK),
    ("use_api_socket", "Fargate has no Docker socket"),
];

const NETWORK: &str = "Fargate sets the network of a task";
const HOST: &str = "a task definition has no such setting";
