//! The task definition of a wiring, every field with the line or the reason it comes from.

use std::collections::BTreeMap;

use serde_json::Value;
use task_definition::{
    Condition, ContainerDefinition, Dependency, Edit, Finding, FirelensConfiguration, HealthCheck,
    KeyValue, LinuxParameters, Located, LogConfiguration, MountPoint, Place, Places, PortMapping,
    RestartPolicy, RuntimePlatform, Secret, TaskDefinition, Volume, escape, read_value,
};

use super::iam::{Statement, role_arn};
use super::merge;
use super::share::{Allocation, Share, shares};
use crate::component::{AppProtocol, ComponentFile, Firelens, Kind};
use crate::resolve::{AssemblyMember, Role, RunMode};
use crate::wire::{ContainerWiring, Wiring, addresses};

/// Builds it, lays the user's own words over it, and reads the result as if it were somebody's file, so
/// that a misspelt field in an override is found like any other.
pub(super) fn definition(
    wiring: &Wiring,
    task_role: &[Statement],
) -> Result<Located, Vec<Finding>> {
    let mut places = Places::new();
    let shares = shares(&wiring.assembly)?;
    let derived = task(wiring, &shares, task_role, &mut places);
    let mut value = serde_json::to_value(&derived).unwrap_or_default();

    lay_over(wiring, &mut value, &mut places);
    let definition = read_value(&value, &places).or_else(|findings| {
        if typed_references(&mut value, &findings) {
            read_value(&value, &places)
        } else {
            Err(findings)
        }
    })?;

    Ok(Located { definition, places })
}

/// What is filled in for `${…}` is text: where a number or a truth is wanted, it becomes one. Whether any did.
fn typed_references(value: &mut Value, findings: &[Finding]) -> bool {
    let mut any = false;
    for finding in findings.iter().filter(|one| is_reference(&one.place)) {
        for edit in finding.fix.iter().flat_map(|fix| &fix.edits) {
            if let Edit::Set(pointer, typed) = edit
                && let Some(text) = value.pointer_mut(pointer)
            {
                *text = typed.clone();
                any = true;
            }
        }
    }

    any
}

/// Whether a value was written as `${…}` and nothing else.
fn is_reference(place: &Place) -> bool {
    let Place::Text {
        column,
        end_column,
        excerpt_line,
        excerpt_column,
        ..
    } = place
    else {
        return false;
    };

    let letters = excerpt_line
        .chars()
        .skip(column.saturating_sub(*excerpt_column));
    let written: String = letters.take(end_column.saturating_sub(*column)).collect();
    let written = written.trim_matches(['"', '\'']);
    let inside = written
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));

    inside.is_some_and(|name| !name.contains('}'))
}

/// What components say of their containers, the overrides of containers, then the patch of the whole.
fn lay_over(wiring: &Wiring, value: &mut Value, places: &mut Places) {
    let manifest = &wiring.assembly.manifest;
    for (index, member) in wiring.assembly.members.iter().enumerate() {
        let at = format!("/containerDefinitions/{index}");
        let own = &member.component.file().container;
        if let (Some(container), Some(own)) = (value.pointer_mut(&at), own) {
            let over = Value::Object(own.clone());
            merge::merge(container, &over, &at, "/container", &mut |pointer, from| {
                places.replace(pointer, member.component.place(from));
            });
        }

        let Some(overrides) = manifest.file().overrides.get(member.component.name()) else {
            continue;
        };
        let from = format!("/overrides/{}", escape(member.component.name()));

        if let Some(container) = value.pointer_mut(&at) {
            let over = Value::Object(overrides.clone());
            merge::merge(container, &over, &at, &from, &mut |pointer, from| {
                places.replace(pointer, manifest.place(from));
            });
        }
    }

    if let Some(patch) = &manifest.file().patch {
        let patch = Value::Object(patch.clone());
        merge::merge(value, &patch, "", "/patch", &mut |pointer, from| {
            places.replace(pointer, manifest.place(from));
        });
    }
}

fn task(
    wiring: &Wiring,
    Allocation { size, shares }: &Allocation,
    task_role: &[Statement],
    places: &mut Places,
) -> TaskDefinition {
    let assembly = &wiring.assembly;
    let file = assembly.manifest.file();
    task_places(wiring, places);

    let containers = assembly.members.iter().enumerate().map(|(index, member)| {
        let at = format!("/containerDefinitions/{index}");
        places.insert(at.clone(), member.place.clone());
        container(wiring, index, shares[index], &at, places)
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

/// Where the fields of the task itself come from.
fn task_places(wiring: &Wiring, places: &mut Places) {
    let manifest = &wiring.assembly.manifest;
    places.insert("", manifest.place("/name"));
    places.insert("/family", manifest.place("/name"));

    for field in ["cpu", "memory"] {
        let pointer = format!("/size/{field}");
        let named = match field {
            "cpu" => manifest.file().size.cpu,
            _ => manifest.file().size.memory,
        };

        let place = if named.is_some() {
            manifest.place(&pointer)
        } else {
            let because = "the smallest Fargate size that holds the sum of the containers";
            Place::derived(because, Some(manifest.place("/name")))
        };
        places.insert(format!("/{field}"), place);
    }
}

fn container(
    wiring: &Wiring,
    index: usize,
    share: Share,
    at: &str,
    places: &mut Places,
) -> ContainerDefinition {
    let member = &wiring.assembly.members[index];
    let wired = &wiring.containers[index];
    let file = member.component.file();

    // A whole service that stands beside the app is there because the app needs it. Without the log
    // router nobody would see why the task goes on or ends.
    let routes = file.firelens.is_some();
    let essential =
        matches!(member.role, Role::Ingress | Role::App) || file.kind == Kind::App || routes;
    let ours = file.container.is_none();
    let restart = (member.role == Role::Sidecar && !routes).then(|| RestartPolicy {
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
        environment: environment(wiring, index, at, places),
        mount_points: file.files.iter().map(|path| mount(member, path)).collect(),
        linux_parameters: ours.then(|| LinuxParameters {
            init_process_enabled: Some(false),
            ..LinuxParameters::default()
        }),
        secrets: secrets(member, at, places),
        depends_on: depends_on(wiring, wired, at, places),
        start_timeout: start_timeout(wiring, index),
        stop_timeout: Some(file.stop.timeout),
        user: ours.then(|| USER.to_owned()),
        readonly_root_filesystem: ours.then_some(!has_shells(wiring)),
        log_configuration: Some(logs(wiring, member)),
        health_check: health(member),
        firelens_configuration: file.firelens.as_ref().map(firelens),
        ..ContainerDefinition::default()
    }
}

/// Whether ECS puts its agent into the containers, which writes into their file system.
fn has_shells(wiring: &Wiring) -> bool {
    let service = wiring.assembly.manifest.file().service.as_ref();
    service.is_some_and(|service| service.exec)
}

/// The number that distroless images and many others have for "nobody in particular".
const USER: &str = "65532:65532";

fn port_mappings(wiring: &Wiring, index: usize) -> Vec<PortMapping> {
    let public = wiring
        .public
        .as_ref()
        .filter(|public| public.member == index);
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

    // An image of others knows what it starts.
    let usual = if container.is_none() {
        vec!["serve".to_owned()]
    } else {
        Vec::new()
    };

    command.unwrap_or(usual)
}

/// What was derived and what the user set, sorted by name; the user wins.
fn environment(wiring: &Wiring, index: usize, at: &str, places: &mut Places) -> Vec<KeyValue> {
    let member = &wiring.assembly.members[index];
    let mut variables = spelt_out(member);
    variables.extend(wiring.containers[index].environment.clone());
    variables.extend(drain_limit(wiring, member));

    let output = member
        .component
        .file()
        .firelens
        .as_ref()
        .map(|one| &one.output);

    for (setting, given) in &member.settings {
        // Where the lines go is said to everybody's log driver.
        if output == Some(setting) {
            continue;
        }
        let name = member.component.variable(setting);
        variables.insert(name, (given.text.clone(), given.place.clone()));
    }

    let mut environment = Vec::new();
    for (name, (value, place)) in variables {
        places.insert(format!("{at}/environment/{}", environment.len()), place);
        environment.push(KeyValue { name, value });
    }

    environment
}

/// The defaults of an image that knows nothing of its `component.yaml`.
fn spelt_out(member: &AssemblyMember) -> BTreeMap<String, (String, Place)> {
    let component = &member.component;
    let file = component.file();
    if file.container.is_none() {
        return BTreeMap::new();
    }

    let listens = addresses(member);
    let output = file.firelens.as_ref().map(|one| &one.output);
    let declared = file.settings.iter().filter(|(name, one)| {
        let is_address = listens.iter().any(|(setting, _)| setting == *name);
        !is_address && !one.secret && output != Some(name) && !member.secrets.contains_key(*name)
    });
    let defaults = declared.filter_map(|(name, one)| {
        let text = one.kind.text(one.default.as_ref()?)?;
        let place = component.place(&format!("/settings/{}/default", escape(name)));
        Some((component.variable(name), (text, place)))
    });

    defaults.collect()
}

/// A component that drains does so for as long as ECS lets it, less a moment for its last words.
fn drain_limit(wiring: &Wiring, member: &AssemblyMember) -> Option<(String, (String, Place))> {
    let file = member.component.file();
    file.settings.get("drain_limit")?;
    let manifest = &wiring.assembly.manifest;
    let given = manifest.file().overrides.get(member.component.name());
    let given = given.and_then(|fields| fields.get("stopTimeout")?.as_u64());
    let stop = given.unwrap_or_else(|| u64::from(file.stop.timeout));
    let limit = stop.saturating_sub(u64::from(LAST_WORDS)).max(1);
    let because = format!("stopTimeout {stop} s, less {LAST_WORDS} s to flush and end");
    let place = Place::derived(because, Some(member.place.clone()));

    Some((
        member.component.variable("drain_limit"),
        (format!("{limit}s"), place),
    ))
}

/// Seconds between the end of the drain and SIGKILL.
pub(crate) const LAST_WORDS: u32 = 5;

fn secrets(member: &AssemblyMember, at: &str, places: &mut Places) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for (setting, given) in &member.secrets {
        places.insert(
            format!("{at}/secrets/{}", secrets.len()),
            given.place.clone(),
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
    places: &mut Places,
) -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    for (on, condition, place) in &wired.depends_on {
        places.insert(
            format!("{at}/dependsOn/{}", dependencies.len()),
            place.clone(),
        );
        dependencies.push(Dependency {
            container_name: wiring.assembly.members[*on].name().to_owned(),
            condition: *condition,
        });
    }

    dependencies
}

/// Without a limit a task whose dependency never gets healthy hangs in PENDING for hours.
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
    let settles =
        health.start_period + (health.interval + health.timeout) * health.retries + health.interval;

    is_awaited.then(|| settles.clamp(2, LONGEST_START))
}

/// Fargate's limit, in seconds.
const LONGEST_START: u32 = 120;

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
        // A log service that is down must not stop the answers.
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

/// An image of ours holds nothing but the program, at the root.
fn health(member: &AssemblyMember) -> Option<HealthCheck> {
    let health = member.component.file().health.as_ref()?;
    if member.run_mode == RunMode::OneShot {
        return None;
    }

    let is_whole = matches!(
        health.command.first().map(String::as_str),
        Some("CMD" | "CMD-SHELL")
    );
    let mut command = if is_whole {
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

/// `/tmp` of `thumbnail` is `thumbnail-tmp`.
fn volume_name(member: &AssemblyMember, path: &str) -> String {
    let path: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{}-{}", member.name(), path.trim_matches('-'))
}
