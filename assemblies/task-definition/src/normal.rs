//! The normal form of a task definition, in which two definitions can be compared.
//!
//! Defaults of ECS are filled in, unordered lists are sorted, and values without effect are dropped, so that
//! `describe(register(x))` and `x` are equal.

use crate::container::{
    ContainerDefinition, HealthCheck, LinuxParameters, PortMapping, RestartPolicy,
};
use crate::fargate_sizes::{parse_cpu, parse_memory};
use crate::task::{RuntimePlatform, TaskDefinition};
use crate::volume::Volume;

/// Returns the definition with defaults filled in, unordered lists sorted, and values without effect dropped.
pub fn normalise(definition: &TaskDefinition) -> TaskDefinition {
    let mut normal = definition.clone();
    let fargate = normal.is_fargate();
    let default_mode = if fargate { "awsvpc" } else { "bridge" };
    let mode = normal
        .network_mode
        .get_or_insert_with(|| default_mode.to_owned())
        .clone();

    // `1 vCPU` and `1024` are the same size.
    normal.cpu = normal
        .cpu
        .map(|cpu| parse_cpu(&cpu).map_or(cpu, |units| units.to_string()));
    normal.memory = normal
        .memory
        .map(|text| parse_memory(&text).map_or(text, |mib| mib.to_string()));
    normal.enable_fault_injection = drop_false(normal.enable_fault_injection);
    // The order of compatibilities has no meaning.
    normal.requires_compatibilities.sort();
    normal.requires_compatibilities.dedup();

    normal.tags.sort_by(|a, b| a.key.cmp(&b.key));
    normal.volumes.sort_by(|a, b| a.name.cmp(&b.name));
    normal.volumes.iter_mut().for_each(volume);
    if fargate {
        // Elsewhere the platform depends on the container instance.
        platform(normal.runtime_platform.get_or_insert_default());
    }

    for definition in &mut normal.container_definitions {
        container(definition, &mode, fargate);
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
    volume.configured_at_launch = drop_false(volume.configured_at_launch);
    // DescribeTaskDefinition returns `"host": {}` for a volume without configuration.
    volume.host = volume.host.take().filter(|host| host.source_path.is_some());
    if let Some(efs) = &mut volume.efs_volume_configuration {
        efs.root_directory.get_or_insert_with(|| "/".to_owned());
    }
}

fn container(container: &mut ContainerDefinition, mode: &str, fargate: bool) {
    container.cpu.get_or_insert(0);
    container.essential.get_or_insert(true);
    container
        .version_consistency
        .get_or_insert_with(|| "enabled".to_owned());
    // Elsewhere the default depends on the agent's ECS_CONTAINER_STOP_TIMEOUT.
    if fargate {
        container.stop_timeout.get_or_insert(30);
    }

    for flag in [
        &mut container.disable_networking,
        &mut container.privileged,
        &mut container.readonly_root_filesystem,
        &mut container.interactive,
        &mut container.pseudo_terminal,
    ] {
        *flag = drop_false(*flag);
    }

    container
        .port_mappings
        .iter_mut()
        .for_each(|mapping| port(mapping, mode));
    container
        .mount_points
        .iter_mut()
        .for_each(|mount| mount.read_only = drop_false(mount.read_only));
    container
        .volumes_from
        .iter_mut()
        .for_each(|from| from.read_only = drop_false(from.read_only));

    container.health_check.iter_mut().for_each(health);
    container.restart_policy = container.restart_policy.take().and_then(restart);
    container.linux_parameters = container.linux_parameters.take().and_then(linux);
    sort(container);
}

fn sort(container: &mut ContainerDefinition) {
    container.environment.sort_by(|a, b| a.name.cmp(&b.name));
    container.secrets.sort_by(|a, b| a.name.cmp(&b.name));
    container
        .depends_on
        .sort_by(|a, b| a.container_name.cmp(&b.container_name));
    container
        .mount_points
        .sort_by(|a, b| a.container_path.cmp(&b.container_path));
    container
        .volumes_from
        .sort_by(|a, b| a.source_container.cmp(&b.source_container));
    container.ulimits.sort_by(|a, b| a.name.cmp(&b.name));

    container
        .system_controls
        .sort_by(|a, b| a.namespace.cmp(&b.namespace));
    container
        .port_mappings
        .sort_by(|a, b| port_order(a).cmp(&port_order(b)));

    if let Some(log) = &mut container.log_configuration {
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
    // In bridge mode port 0 requests a dynamic host port.
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
    // A start period of 0 is the same as none.
    check.start_period = check.start_period.filter(|seconds| *seconds > 0);
}

fn restart(mut policy: RestartPolicy) -> Option<RestartPolicy> {
    policy.ignored_exit_codes.sort_unstable();
    policy.restart_attempt_period.get_or_insert(300);
    // A disabled policy is the same as none.
    policy.enabled.then_some(policy)
}

fn linux(mut linux: LinuxParameters) -> Option<LinuxParameters> {
    linux.init_process_enabled = drop_false(linux.init_process_enabled);
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

/// Drops `false`, which is the default.
fn drop_false(flag: Option<bool>) -> Option<bool> {
    flag.filter(|set| *set)
}
