//! The form in which two task definitions can be compared.
//!
//! What ECS fills in is filled in, what has no order is sorted, and what says nothing is dropped, so that
//! `describe(register(x))` and `x` come out the same.

use crate::container::{
    ContainerDefinition, HealthCheck, LinuxParameters, PortMapping, RestartPolicy,
};
use crate::fargate_sizes::{parse_cpu, parse_memory};
use crate::task::{RuntimePlatform, TaskDefinition};
use crate::volume::Volume;

/// The definition with defaults filled in, sets sorted, and nothing that says nothing.
pub fn normalise(definition: &TaskDefinition) -> TaskDefinition {
    let mut normal = definition.clone();
    let fargate = normal.is_fargate();
    let mode = if fargate { "awsvpc" } else { "bridge" };
    let mode = normal
        .network_mode
        .get_or_insert_with(|| mode.to_owned())
        .clone();

    normal.cpu = normal
        .cpu
        .map(|cpu| parse_cpu(&cpu).map_or(cpu, |units| units.to_string()));
    normal.memory = normal
        .memory
        .map(|text| parse_memory(&text).map_or(text, |mib| mib.to_string()));
    normal.enable_fault_injection = said(normal.enable_fault_injection);
    normal.requires_compatibilities.sort();
    normal.requires_compatibilities.dedup();

    normal.tags.sort_by(|a, b| a.key.cmp(&b.key));
    normal.volumes.sort_by(|a, b| a.name.cmp(&b.name));
    normal.volumes.iter_mut().for_each(volume);
    if fargate {
        platform(normal.runtime_platform.get_or_insert_default());
    }

    for one in &mut normal.container_definitions {
        container(one, &mode, fargate);
    }
    normal
}

fn platform(platform: &mut RuntimePlatform) {
    platform
        .cpu_architecture
        .get_or_insert_with(|| "X86_64".to_owned());
    platform
        .operating_system_family
        .get_or_insert_with(|| "LINUX".to_owned());
}

fn volume(volume: &mut Volume) {
    volume.configured_at_launch = said(volume.configured_at_launch);
    // An answer says `"host": {}` for a volume of which nothing was said.
    volume.host = volume.host.take().filter(|host| host.source_path.is_some());
    if let Some(efs) = &mut volume.efs_volume_configuration {
        efs.root_directory.get_or_insert_with(|| "/".to_owned());
    }
}

fn container(one: &mut ContainerDefinition, mode: &str, fargate: bool) {
    one.cpu.get_or_insert(0);
    one.essential.get_or_insert(true);
    one.version_consistency
        .get_or_insert_with(|| "enabled".to_owned());
    if fargate {
        one.stop_timeout.get_or_insert(30);
    }

    for flag in [
        &mut one.disable_networking,
        &mut one.privileged,
        &mut one.readonly_root_filesystem,
        &mut one.interactive,
        &mut one.pseudo_terminal,
    ] {
        *flag = said(*flag);
    }

    one.port_mappings
        .iter_mut()
        .for_each(|mapping| port(mapping, mode));
    one.mount_points
        .iter_mut()
        .for_each(|mount| mount.read_only = said(mount.read_only));
    one.volumes_from
        .iter_mut()
        .for_each(|from| from.read_only = said(from.read_only));

    one.health_check.iter_mut().for_each(health);
    one.restart_policy = one.restart_policy.take().and_then(restart);
    one.linux_parameters = one.linux_parameters.take().and_then(linux);
    sort(one);
}

fn sort(one: &mut ContainerDefinition) {
    one.environment.sort_by(|a, b| a.name.cmp(&b.name));
    one.secrets.sort_by(|a, b| a.name.cmp(&b.name));
    one.depends_on
        .sort_by(|a, b| a.container_name.cmp(&b.container_name));
    one.mount_points
        .sort_by(|a, b| a.container_path.cmp(&b.container_path));
    one.volumes_from
        .sort_by(|a, b| a.source_container.cmp(&b.source_container));
    one.ulimits.sort_by(|a, b| a.name.cmp(&b.name));

    one.system_controls
        .sort_by(|a, b| a.namespace.cmp(&b.namespace));
    one.port_mappings
        .sort_by(|a, b| port_order(a).cmp(&port_order(b)));

    if let Some(log) = &mut one.log_configuration {
        log.secret_options.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

fn port_order(port: &PortMapping) -> (Option<u32>, Option<&str>, Option<&str>) {
    (
        port.container_port,
        port.container_port_range.as_deref(),
        port.protocol.as_deref(),
    )
}

fn port(port: &mut PortMapping, mode: &str) {
    port.protocol.get_or_insert_with(|| "tcp".to_owned());
    let fallback = match mode {
        "awsvpc" | "host" => port.container_port,
        _ => Some(0),
    };
    if port.container_port.is_some() {
        port.host_port = port.host_port.or(fallback);
    }
}

fn health(check: &mut HealthCheck) {
    check.interval.get_or_insert(30);
    check.timeout.get_or_insert(5);
    check.retries.get_or_insert(3);
    check.start_period = check.start_period.filter(|seconds| *seconds > 0);
}

fn restart(mut policy: RestartPolicy) -> Option<RestartPolicy> {
    policy.ignored_exit_codes.sort_unstable();
    policy.restart_attempt_period.get_or_insert(300);
    policy.enabled.then_some(policy)
}

fn linux(mut linux: LinuxParameters) -> Option<LinuxParameters> {
    linux.init_process_enabled = said(linux.init_process_enabled);
    linux.capabilities = linux
        .capabilities
        .take()
        .filter(|c| !c.add.is_empty() || !c.drop.is_empty());
    if let Some(capabilities) = &mut linux.capabilities {
        capabilities.add.sort();
        capabilities.drop.sort();
    }
    (linux != LinuxParameters::default()).then_some(linux)
}

/// `false` where `false` is the default says nothing.
fn said(flag: Option<bool>) -> Option<bool> {
    flag.filter(|set| *set)
}
