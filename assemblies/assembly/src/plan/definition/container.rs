//! Derives the definition of a container.

use diagnostics::{Location, LocationMap};
use task_definition::{
    Condition, ContainerDefinition, Dependency, FirelensConfiguration, HealthCheck,
    LinuxParameters, LogConfiguration, MountPoint, PortMapping, RestartPolicy, Secret,
};

use super::environment::environment;
use crate::component::{AppProtocol, ComponentFile, Firelens, Kind};
use crate::plan::share::Share;
use crate::resolve::{AssemblyMember, Role, RunMode};
use crate::wire::{ContainerWiring, Wiring};

pub(super) fn container(
    wiring: &Wiring,
    index: usize,
    share: Share,
    at: &str,
    locations: &mut LocationMap,
) -> ContainerDefinition {
    let member = &wiring.assembly.members[index];
    let wired = &wiring.containers[index];
    let file = member.component.file();

    // A complete service next to the app is there because the app needs it. Without the log router the
    // other containers' logs are lost.
    let is_log_router = file.firelens.is_some();
    let essential =
        matches!(member.role, Role::Ingress | Role::App) || file.kind == Kind::App || is_log_router;
    // A component without `container:` is one of the toolkit: it needs no init process, no user of the
    // image and no writable root file system. A third-party image decides for itself.
    let is_toolkit_image = file.container.is_none();
    let restart = (member.role == Role::Sidecar && !is_log_router).then(|| RestartPolicy {
        enabled: true,
        restart_attempt_period: Some(60),
        ..RestartPolicy::default()
    });

    ContainerDefinition {
        name: member.name().to_owned(),
        image: member.image.clone(),
        cpu: Some(share.cpu),
        memory: Some(share.memory),
        memory_reservation: Some(share.reservation),
        port_mappings: port_mappings(wiring, index),
        essential: Some(essential),
        restart_policy: restart,
        entry_point: entry_point(member, at, locations),
        command: command(member),
        environment: environment(wiring, index, at, locations),
        mount_points: file.files.iter().map(|path| mount(member, path)).collect(),
        linux_parameters: is_toolkit_image.then(|| LinuxParameters {
            init_process_enabled: Some(false),
            ..LinuxParameters::default()
        }),
        secrets: secrets(member, at, locations),
        depends_on: depends_on(wiring, wired, at, locations),
        start_timeout: start_timeout(wiring, index),
        stop_timeout: Some(file.stop.timeout),
        user: is_toolkit_image.then(|| USER.to_owned()),
        readonly_root_filesystem: is_toolkit_image.then_some(!has_shells(wiring)),
        log_configuration: Some(logs(wiring, member)),
        health_check: health(member),
        firelens_configuration: file.firelens.as_ref().map(firelens),
        ..ContainerDefinition::default()
    }
}

/// Returns whether ECS Exec is on: its SSM agent writes into the containers' file systems.
fn has_shells(wiring: &Wiring) -> bool {
    let service = wiring.assembly.manifest.file().service.as_ref();
    service.is_some_and(|service| service.exec)
}

/// The `nonroot` user of distroless images.
const USER: &str = "65532:65532";

fn port_mappings(wiring: &Wiring, index: usize) -> Vec<PortMapping> {
    let public = wiring
        .public
        .as_ref()
        .filter(|public| public.member == index);
    // On Fargate a mapping opens nothing by itself; it names the port for load balancers and Service Connect.
    let mapping = public.map(|public| PortMapping {
        container_port: Some(u32::from(public.port)),
        protocol: Some("tcp".to_owned()),
        name: Some(public.interface.clone()),
        app_protocol: public.protocol.map(|protocol| protocol.as_str().to_owned()),
        ..PortMapping::default()
    });

    mapping.into_iter().collect()
}

impl AppProtocol {
    /// Returns the value of `appProtocol` in a port mapping.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
        }
    }
}

/// Returns the entry point of a container that runs a bundle's image; other images have their own.
fn entry_point(member: &AssemblyMember, at: &str, locations: &mut LocationMap) -> Vec<String> {
    let Some(bundle) = &member.bundle else {
        return Vec::new();
    };

    let derivation = format!("the image `{}` contains several components", bundle.name());
    let location = Location::from_derivation(derivation, Some(member.location.clone()));
    locations.insert(format!("{at}/entryPoint"), location);
    bundle.command_of(member.component.name())
}

fn command(member: &AssemblyMember) -> Vec<String> {
    let ComponentFile {
        commands,
        container,
        ..
    } = member.component.file();
    let command = if member.run_mode == RunMode::OneShot {
        commands.on_demand.clone()
    } else {
        commands.service.clone()
    };

    // A third-party image starts its own default command.
    let default = if container.is_none() {
        vec!["serve".to_owned()]
    } else {
        Vec::new()
    };

    command.unwrap_or(default)
}

fn secrets(member: &AssemblyMember, at: &str, locations: &mut LocationMap) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for (setting, given) in &member.secrets {
        locations.insert(
            format!("{at}/secrets/{}", secrets.len()),
            given.location.clone(),
        );

        let name = member.component.variable(setting);
        secrets.push(Secret {
            name,
            value_from: given.value_from.clone(),
        });
    }

    secrets
}

fn depends_on(
    wiring: &Wiring,
    wired: &ContainerWiring,
    at: &str,
    locations: &mut LocationMap,
) -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    for (on, condition, location) in &wired.depends_on {
        locations.insert(
            format!("{at}/dependsOn/{}", dependencies.len()),
            location.clone(),
        );
        // By container name, which `overrides:` can change, not by component name.
        dependencies.push(Dependency {
            container_name: wiring.assembly.members[*on].name().to_owned(),
            condition: *condition,
        });
    }

    dependencies
}

/// Returns the start timeout of a container that others wait for to become healthy.
///
/// Without one, a task stays in PENDING for hours if a dependency never becomes healthy.
fn start_timeout(wiring: &Wiring, index: usize) -> Option<u32> {
    let edges = wiring.containers.iter().flat_map(|wired| &wired.depends_on);
    let mut conditions = edges
        .filter(|(on, ..)| *on == index)
        .map(|(_, condition, _)| *condition);
    let is_awaited = conditions.any(|condition| condition == Condition::Healthy);
    let health = wiring.assembly.members[index]
        .component
        .file()
        .health
        .as_ref()?;
    // The time after which a failing health check has used up its retries, and one interval more.
    let decided_after =
        health.start_period + (health.interval + health.timeout) * health.retries + health.interval;

    is_awaited.then(|| decided_after.clamp(2, MAX_START_TIMEOUT))
}

/// The maximum of `startTimeout` on Fargate, in seconds.
const MAX_START_TIMEOUT: u32 = 120;

fn logs(wiring: &Wiring, member: &AssemblyMember) -> LogConfiguration {
    if let Some(router) = wiring.assembly.router.as_ref()
        && member.component.file().firelens.is_none()
    {
        return LogConfiguration {
            log_driver: "awsfirelens".to_owned(),
            options: router.options_of(member.name()),
            secret_options: Vec::new(),
        };
    }

    let name = &wiring.assembly.manifest.file().name;
    let options = [
        ("awslogs-group", format!("/ecs/{name}")),
        ("awslogs-region", wiring.assembly.account.region.clone()),
        ("awslogs-stream-prefix", member.name().to_owned()),
        // In blocking mode an unavailable log service blocks the container's writes to stdout.
        ("mode", "non-blocking".to_owned()),
    ];

    LogConfiguration {
        log_driver: "awslogs".to_owned(),
        options: options.map(|(name, value)| (name.to_owned(), value)).into(),
        secret_options: Vec::new(),
    }
}

fn firelens(firelens: &Firelens) -> FirelensConfiguration {
    FirelensConfiguration {
        kind: firelens.kind.as_str().to_owned(),
        options: firelens.options.clone(),
    }
}

/// Returns the health check of a container that serves.
fn health(member: &AssemblyMember) -> Option<HealthCheck> {
    let health = member.component.file().health.as_ref()?;
    if member.run_mode == RunMode::OneShot {
        return None;
    }

    // An image of the toolkit has no shell, only the program at the root: `/name COMMAND…`, or in a bundle
    // `/bundle name COMMAND…`.
    let name = member.component.name();
    let program = member.bundle.as_ref().map_or_else(
        || vec![format!("/{name}")],
        |bundle| bundle.command_of(name),
    );
    let is_complete = matches!(
        health.command.first().map(String::as_str),
        Some("CMD" | "CMD-SHELL")
    );
    let mut command = if is_complete {
        Vec::new()
    } else {
        let mut words = vec!["CMD".to_owned()];
        words.extend(program);
        words
    };

    command.extend(health.command.iter().cloned());
    Some(HealthCheck {
        command,
        interval: Some(health.interval),
        timeout: Some(health.timeout),
        retries: Some(health.retries),
        start_period: (health.start_period > 0).then_some(health.start_period),
    })
}

fn mount(member: &AssemblyMember, path: &str) -> MountPoint {
    MountPoint {
        source_volume: volume_name(member, path),
        container_path: path.to_owned(),
        read_only: Some(false),
    }
}

/// Returns the name of a volume: `/tmp` of `web` is `web-tmp`.
pub(super) fn volume_name(member: &AssemblyMember, path: &str) -> String {
    let path: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{}-{}", member.name(), path.trim_matches('-'))
}
