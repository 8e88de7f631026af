//! Builds the task definition of a wiring; every field has the location or derivation it comes from.

use std::collections::BTreeMap;

use diagnostics::{Edit, Finding, Location, LocationMap, escape};
use serde_json::Value;
use task_definition::{
    Condition, ContainerDefinition, Dependency, FirelensConfiguration, HealthCheck, KeyValue,
    LinuxParameters, LocatedDefinition, LogConfiguration, MountPoint, PortMapping, RestartPolicy,
    RuntimePlatform, Secret, TaskDefinition, Volume, read_value,
};

use super::iam::{Statement, role_arn};
use super::merge;
use super::share::{Allocation, Share, allocate};
use crate::component::{AppProtocol, ComponentFile, Firelens, Kind};
use crate::resolve::{AssemblyMember, Role, RunMode};
use crate::wire::{ContainerWiring, Wiring, addresses};

/// Builds the task definition and merges the component's and the user's overrides into it.
///
/// The merged value is parsed like any task definition, so a misspelt field in an override is reported
/// like one in a file.
pub(super) fn definition(
    wiring: &Wiring,
    task_role: &[Statement],
) -> Result<LocatedDefinition, Vec<Finding>> {
    let mut locations = LocationMap::new();
    let allocation = allocate(&wiring.assembly)?;
    let derived = task(wiring, &allocation, task_role, &mut locations);
    // Merged as JSON: overrides can set any field of ECS, also those without a field in our types.
    let mut value = serde_json::to_value(&derived).unwrap_or_default();

    merge_overrides(wiring, &mut value, &mut locations);
    let definition = read_value(&value, &locations).or_else(|findings| {
        if convert_references(&mut value, &findings) {
            read_value(&value, &locations)
        } else {
            Err(findings)
        }
    })?;

    Ok(LocatedDefinition {
        definition,
        locations,
    })
}

/// Converts interpolated text to the type of its field; returns whether any value changed.
///
/// `${…}` always yields text. Where the field is a number or a Boolean, the parser's fix has the typed value.
fn convert_references(value: &mut Value, findings: &[Finding]) -> bool {
    // Only fixes of findings about `${…}` values are applied; other type errors stay errors.
    let mut changed = false;
    for finding in findings
        .iter()
        .filter(|finding| is_reference(&finding.location))
    {
        for edit in finding.fix.iter().flat_map(|fix| &fix.edits) {
            if let Edit::Set(pointer, typed) = edit
                && let Some(text) = value.pointer_mut(pointer)
            {
                *text = typed.clone();
                changed = true;
            }
        }
    }

    changed
}

/// Returns whether a value was written as `${…}` alone.
fn is_reference(location: &Location) -> bool {
    let Location::Text {
        column,
        end_column,
        excerpt_line,
        excerpt_column,
        ..
    } = location
    else {
        return false;
    };

    // The location has no value, so the written text is cut out of the excerpt line.
    let excerpt = excerpt_line
        .chars()
        .skip(column.saturating_sub(*excerpt_column));
    let written: String = excerpt.take(end_column.saturating_sub(*column)).collect();
    let written = written.trim_matches(['"', '\'']);
    let inside = written
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));

    inside.is_some_and(|name| !name.contains('}'))
}

/// Merges the components' `container:`, then the containers' overrides, then the patch of the task.
fn merge_overrides(wiring: &Wiring, value: &mut Value, locations: &mut LocationMap) {
    let manifest = &wiring.assembly.manifest;
    for (index, member) in wiring.assembly.members.iter().enumerate() {
        let pointer = format!("/containerDefinitions/{index}");
        let component_fields = &member.component.file().container;
        if let (Some(container), Some(fields)) = (value.pointer_mut(&pointer), component_fields) {
            let overlay = Value::Object(fields.clone());
            merge::merge(
                container,
                &overlay,
                &pointer,
                "/container",
                &mut |pointer, from| {
                    locations.replace(pointer, member.component.location(from));
                },
            );
        }

        // The user's overrides come after the component's fields, so that they win.
        let Some(overrides) = manifest.file().overrides.get(member.component.name()) else {
            continue;
        };
        let from = format!("/overrides/{}", escape(member.component.name()));

        if let Some(container) = value.pointer_mut(&pointer) {
            let overlay = Value::Object(overrides.clone());
            merge::merge(
                container,
                &overlay,
                &pointer,
                &from,
                &mut |pointer, from| {
                    locations.replace(pointer, manifest.location(from));
                },
            );
        }
    }

    // The patch is last: it wins over everything else.
    if let Some(patch) = &manifest.file().patch {
        let patch = Value::Object(patch.clone());
        merge::merge(value, &patch, "", "/patch", &mut |pointer, from| {
            locations.replace(pointer, manifest.location(from));
        });
    }
}

fn task(
    wiring: &Wiring,
    Allocation { size, shares }: &Allocation,
    task_role: &[Statement],
    locations: &mut LocationMap,
) -> TaskDefinition {
    let assembly = &wiring.assembly;
    let file = assembly.manifest.file();
    insert_task_places(wiring, locations);

    // A field without its own location falls back to the container's, the line that names it.
    let containers = assembly.members.iter().enumerate().map(|(index, member)| {
        let pointer = format!("/containerDefinitions/{index}");
        locations.insert(pointer.clone(), member.location.clone());
        container(wiring, index, shares[index], &pointer, locations)
    });
    let containers = containers.collect();

    TaskDefinition {
        family: file.name.clone(),
        task_role_arn: (!task_role.is_empty())
            .then(|| role_arn(&assembly.account, &file.name, "task")),
        execution_role_arn: Some(role_arn(&assembly.account, &file.name, "execution")),
        network_mode: Some("awsvpc".to_owned()),
        container_definitions: containers,
        volumes: assembly.members.iter().flat_map(volumes).collect(),
        requires_compatibilities: vec!["FARGATE".to_owned()],
        cpu: Some(size.cpu.to_string()),
        memory: Some(size.memory.to_string()),
        runtime_platform: Some(RuntimePlatform {
            cpu_architecture: Some(file.size.architecture.as_str().to_owned()),
            operating_system_family: Some("LINUX".to_owned()),
        }),
        ..TaskDefinition::default()
    }
}

/// Sets the locations of the task's own fields.
fn insert_task_places(wiring: &Wiring, locations: &mut LocationMap) {
    let manifest = &wiring.assembly.manifest;
    locations.insert("", manifest.location("/name"));
    locations.insert("/family", manifest.location("/name"));

    for field in ["cpu", "memory"] {
        let pointer = format!("/size/{field}");
        let requested = match field {
            "cpu" => manifest.file().size.cpu,
            _ => manifest.file().size.memory,
        };

        let location = if requested.is_some() {
            manifest.location(&pointer)
        } else {
            let derivation = "the smallest Fargate size that holds the sum of the containers";
            Location::from_derivation(derivation, Some(manifest.location("/name")))
        };
        locations.insert(format!("/{field}"), location);
    }
}

fn container(
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

/// Returns the container's variables sorted by name: derived ones, replaced by those that the user sets.
fn environment(
    wiring: &Wiring,
    index: usize,
    at: &str,
    locations: &mut LocationMap,
) -> Vec<KeyValue> {
    let member = &wiring.assembly.members[index];
    // Later sources replace earlier ones of the same name.
    let mut variables = default_variables(member);
    variables.extend(wiring.containers[index].environment.clone());
    variables.extend(drain_timeout(wiring, member));

    let output_setting = member
        .component
        .file()
        .firelens
        .as_ref()
        .map(|firelens| &firelens.output);

    for (setting, given) in &member.settings {
        // The router's output is set in the log drivers of the other containers, not in its environment.
        if output_setting == Some(setting) {
            continue;
        }
        // Names only: the value stays in Secrets Manager or Parameter Store.
        let name = member.component.variable(setting);
        variables.insert(name, (given.text.clone(), given.location.clone()));
    }

    let mut environment = Vec::new();
    for (name, (value, location)) in variables {
        locations.insert(format!("{at}/environment/{}", environment.len()), location);
        environment.push(KeyValue { name, value });
    }

    environment
}

/// Returns the default settings of a third-party image, which does not read its `component.yaml`.
fn default_variables(member: &AssemblyMember) -> BTreeMap<String, (String, Location)> {
    let component = &member.component;
    let file = component.file();
    if file.container.is_none() {
        return BTreeMap::new();
    }

    // Listen addresses are assigned by the wiring, and secrets have no plain default.
    let listens = addresses(member);
    let output_setting = file.firelens.as_ref().map(|firelens| &firelens.output);
    file.settings
        .iter()
        .filter(|(name, declaration)| {
            let is_address = listens.iter().any(|(setting, _)| setting == *name);
            !is_address
                && !declaration.secret
                && output_setting != Some(name)
                && !member.secrets.contains_key(*name)
        })
        .filter_map(|(name, declaration)| {
            let text = declaration.kind.text(declaration.default.as_ref()?)?;
            let location = component.location(&format!("/settings/{}/default", escape(name)));
            Some((component.variable(name), (text, location)))
        })
        .collect()
}

/// Returns the drain limit of a component that has one: its stop timeout, less the time to flush and exit.
fn drain_timeout(wiring: &Wiring, member: &AssemblyMember) -> Option<(String, (String, Location))> {
    let file = member.component.file();
    file.settings.get("drain_timeout")?;
    let manifest = &wiring.assembly.manifest;
    let overridden = manifest
        .file()
        .overrides
        .get(member.component.name())
        .and_then(|fields| fields.get("stopTimeout")?.as_u64());
    let stop = overridden.unwrap_or_else(|| u64::from(file.stop.timeout));
    // ECS sends SIGKILL at the stop timeout, so the drain must end before it.
    let limit = stop.saturating_sub(u64::from(FLUSH_SECONDS)).max(1);
    let derivation = format!("stopTimeout {stop} s, less {FLUSH_SECONDS} s to flush and exit");
    let location = Location::from_derivation(derivation, Some(member.location.clone()));

    Some((
        member.component.variable("drain_timeout"),
        (format!("{limit}s"), location),
    ))
}

/// Seconds between the end of the drain and SIGKILL, for flushing telemetry and exiting.
pub(crate) const FLUSH_SECONDS: u32 = 5;

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

    // An image of the toolkit has no shell, only the program at the root: `/name COMMAND…`.
    let is_complete = matches!(
        health.command.first().map(String::as_str),
        Some("CMD" | "CMD-SHELL")
    );
    let mut command = if is_complete {
        Vec::new()
    } else {
        vec!["CMD".to_owned(), format!("/{}", member.component.name())]
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

fn volumes(member: &AssemblyMember) -> Vec<Volume> {
    let files = &member.component.file().files;
    files
        .iter()
        .map(|path| Volume {
            name: volume_name(member, path),
            ..Volume::default()
        })
        .collect()
}

/// Returns the name of a volume: `/tmp` of `web` is `web-tmp`.
fn volume_name(member: &AssemblyMember, path: &str) -> String {
    let path: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{}-{}", member.name(), path.trim_matches('-'))
}
