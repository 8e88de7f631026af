//! The documents of the metadata endpoint, with the keys of AWS.

use std::collections::BTreeMap;

use serde::Serialize;

use super::timestamp::rfc3339;
use super::view::{ContainerView, TaskView};
use crate::machine::{Health, TaskStatus};

/// A task: `/v4/ID/task`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Task {
    cluster: String,
    #[serde(rename = "TaskARN")]
    arn: String,
    family: String,
    revision: String,
    desired_status: &'static str,
    known_status: &'static str,
    containers: Vec<Container>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<TaskLimits>,
    pull_started_at: String,
    pull_stopped_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_stopped_at: Option<String>,
    availability_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_tags: Option<BTreeMap<String, String>>,
    launch_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_drift: Option<ClockDrift>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral_storage_metrics: Option<Storage>,
    fault_injection_enabled: bool,
}

/// The limits of the task: vCPUs and MiB.
#[derive(Debug, Serialize)]
struct TaskLimits {
    #[serde(rename = "CPU", skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    #[serde(rename = "Memory", skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

/// The synchronization of the host's clock.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ClockDrift {
    clock_error_bound: f64,
    reference_timestamp: String,
    clock_synchronization_status: &'static str,
}

/// The task's disk in MiB.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Storage {
    utilized: u64,
    reserved: u64,
}

/// A container: `/v4/ID`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    docker_id: String,
    name: String,
    docker_name: String,
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ports: Vec<Port>,
    labels: BTreeMap<String, String>,
    desired_status: &'static str,
    known_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    limits: ContainerLimits,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_driver: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    log_options: BTreeMap<String, String>,
    #[serde(rename = "ContainerARN", skip_serializing_if = "Option::is_none")]
    arn: Option<String>,
    networks: Vec<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshotter: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart_count: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    container_port: u32,
    protocol: String,
    host_port: u32,
}

/// CPU units and MiB; 0 if the definition has none.
#[derive(Debug, Serialize)]
struct ContainerLimits {
    #[serde(rename = "CPU")]
    cpu: u32,
    #[serde(rename = "Memory")]
    memory: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HealthStatus {
    status: String,
    status_since: String,
    /// Only present while UNHEALTHY.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    output: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    docker_name: String,
    destination: String,
}

#[derive(Debug, Serialize)]
struct Network {
    #[serde(rename = "NetworkMode")]
    mode: &'static str,
    #[serde(rename = "IPv4Addresses")]
    addresses: [&'static str; 1],
    #[serde(flatten)]
    interface: Option<NetworkInterface>,
}

/// Fields of a network that version 4 added.
#[derive(Debug, Serialize)]
struct NetworkInterface {
    #[serde(rename = "AttachmentIndex")]
    index: u8,
    #[serde(rename = "MACAddress")]
    mac: &'static str,
    #[serde(rename = "IPv4SubnetCIDRBlock")]
    subnet: &'static str,
    #[serde(rename = "DomainNameServers")]
    servers: [&'static str; 1],
    #[serde(rename = "PrivateDNSName")]
    name: &'static str,
    #[serde(rename = "SubnetGatewayIpv4Address")]
    gateway: &'static str,
}

/// The version of the requested path; fields added later are left out of earlier versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `/v2` and `/v3`, which have the same fields.
    V3,
    /// `/v4`.
    V4,
}

/// Whether the response contains the task's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tags {
    Include,
    Omit,
}

impl Task {
    pub(super) fn new(view: &TaskView, version: Version, tags: Tags) -> Self {
        let is_v4 = version == Version::V4;
        let has_tags = tags == Tags::Include && !view.tags.is_empty();
        let has_limits = view.cpu.is_some() || view.memory.is_some();
        Self {
            cluster: view.cluster_arn(),
            arn: view.arn(),
            family: view.family.clone(),
            revision: view.revision.clone(),
            desired_status: if view.stopping { "STOPPED" } else { "RUNNING" },
            known_status: match view.status {
                // The agent has no PENDING here: NONE is the state before RUNNING.
                TaskStatus::Pending => "NONE",
                TaskStatus::Running => "RUNNING",
                TaskStatus::Stopped => "STOPPED",
            },
            containers: (view.containers.iter())
                .map(|container| Container::new(view, container, version))
                .collect(),
            limits: has_limits.then_some(TaskLimits {
                cpu: view.cpu,
                memory: view.memory,
            }),
            // Nothing is pulled here; the time at which the task was created is the closest.
            pull_started_at: rfc3339(view.created),
            pull_stopped_at: rfc3339(view.created),
            execution_stopped_at: view.stopped.map(rfc3339),
            availability_zone: view.zone(),
            task_tags: has_tags.then(|| view.tags.clone()),
            launch_type: "FARGATE",
            service_name: view.service.clone().filter(|_| is_v4),
            clock_drift: is_v4.then(ClockDrift::unknown),
            ephemeral_storage_metrics: is_v4.then(|| Storage {
                utilized: 0,
                reserved: u64::from(view.storage) * 1024,
            }),
            fault_injection_enabled: view.fault_injection,
        }
    }
}

impl ClockDrift {
    /// Returns a clock that is not known to be synchronized: no time server is queried.
    fn unknown() -> Self {
        Self {
            clock_error_bound: 0.0,
            reference_timestamp: rfc3339(std::time::SystemTime::now()),
            clock_synchronization_status: "NOT_SYNCHRONIZED",
        }
    }
}

impl Container {
    pub(super) fn new(view: &TaskView, container: &ContainerView, version: Version) -> Self {
        let is_v4 = version == Version::V4;
        let definition = &container.definition;
        let log = definition.log_configuration.as_ref();
        let restarts = definition.restart_policy.is_some();

        Self {
            docker_id: container.id.clone(),
            name: definition.name.clone(),
            docker_name: definition.name.clone(),
            image: definition.image.clone(),
            // A host program has no image id, and hashing it would slow down every start.
            image_id: String::new(),
            ports: ports(container),
            labels: labels(view, container),
            desired_status: if container.stopping {
                "STOPPED"
            } else {
                "RUNNING"
            },
            known_status: match (container.started, container.finished) {
                (_, Some(_)) => "STOPPED",
                (Some(_), None) => "RUNNING",
                (None, None) => "PULLED",
            },
            exit_code: container.exit_code,
            limits: ContainerLimits {
                cpu: definition.cpu.unwrap_or(0),
                memory: (definition.memory.or(definition.memory_reservation)).unwrap_or(0),
            },
            created_at: rfc3339(container.created),
            started_at: container.started.map(rfc3339),
            finished_at: container.finished.map(rfc3339),
            r#type: "NORMAL",
            health: container.health.map(|(health, since)| HealthStatus {
                status: health.to_string(),
                status_since: rfc3339(since),
                exit_code: (health == Health::Unhealthy).then_some(container.probe_code),
                output: truncate_output(&container.probe_output).to_owned(),
            }),
            volumes: mounts(container),
            log_driver: log.filter(|_| is_v4).map(|log| log.log_driver.clone()),
            log_options: (log.filter(|_| is_v4))
                .map(|log| log.options.clone().into_iter().collect())
                .unwrap_or_default(),
            arn: is_v4.then(|| view.container_arn(container)),
            networks: vec![Network {
                mode: "awsvpc",
                addresses: ["127.0.0.1"],
                interface: is_v4.then_some(LOOPBACK),
            }],
            snapshotter: is_v4.then_some("overlayfs"),
            restart_count: restarts.then_some(container.restarts),
        }
    }
}

/// Returns the part of a probe's output that the agent reports.
fn truncate_output(output: &str) -> &str {
    let end = output.floor_char_boundary(MAX_OUTPUT_BYTES);
    output.get(..end).unwrap_or_default()
}

fn ports(container: &ContainerView) -> Vec<Port> {
    let mappings = container.definition.port_mappings.iter();
    mappings
        .filter_map(|mapping| {
            let port = mapping.container_port?;
            // In awsvpc mode the host port always equals the container port.
            Some(Port {
                container_port: port,
                protocol: mapping.protocol.clone().unwrap_or_else(|| "tcp".to_owned()),
                host_port: port,
            })
        })
        .collect()
}

fn mounts(container: &ContainerView) -> Vec<Mount> {
    let mount_points = container.definition.mount_points.iter();
    mount_points
        .map(|mount| Mount {
            docker_name: mount.source_volume.clone(),
            destination: mount.container_path.clone(),
        })
        .collect()
}

/// Returns the labels of the definition and the five that ECS adds.
fn labels(view: &TaskView, container: &ContainerView) -> BTreeMap<String, String> {
    let added = [
        ("cluster", view.cluster_arn()),
        ("container-name", container.definition.name.clone()),
        ("task-arn", view.arn()),
        ("task-definition-family", view.family.clone()),
        ("task-definition-version", view.revision.clone()),
    ];
    let added = added.map(|(name, value)| (format!("com.amazonaws.ecs.{name}"), value));
    let own = container.definition.docker_labels.clone();
    own.into_iter().chain(added).collect()
}

/// The agent reports this much of a probe's output.
const MAX_OUTPUT_BYTES: usize = 1024;
/// The interface of every local task.
const LOOPBACK: NetworkInterface = NetworkInterface {
    index: 0,
    mac: "02:00:00:00:00:01",
    subnet: "127.0.0.0/8",
    // The VPC resolver has this address in every VPC.
    servers: ["169.254.169.253"],
    name: "localhost",
    gateway: "127.0.0.1/8",
};
