//! The documents of the endpoint, key by key as AWS writes them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::calendar::rfc3339;
use super::view::{ContainerView, REVISION, TaskView};
use crate::machine::{Health, TaskStatus};

/// A task: `/v4/ID/task`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Task {
    cluster: String,
    #[serde(rename = "TaskARN")]
    arn: String,
    family: String,
    revision: &'static str,
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

/// What the task may use: vCPUs and MiB.
#[derive(Debug, Serialize)]
struct TaskLimits {
    #[serde(rename = "CPU", skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    #[serde(rename = "Memory", skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

/// How well this machine's clock is kept.
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

/// CPU units and MiB; 0 where the definition says nothing.
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
    /// Told of who is UNHEALTHY alone.
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
    card: Option<Card>,
}

/// What only v4 tells of a network.
#[derive(Debug, Serialize)]
struct Card {
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

/// Which path was asked: what later versions added is left out of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `/v2` and `/v3`, which are the same.
    Early,
    /// `/v4`.
    Four,
}

/// Whether the task's tags are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tags {
    Told,
    Untold,
}

impl Task {
    pub(super) fn new(view: &TaskView, version: Version, tags: Tags) -> Self {
        let four = version == Version::Four;
        let told = tags == Tags::Told && !view.tags.is_empty();
        let limited = view.cpu.is_some() || view.memory.is_some();
        Self {
            cluster: view.cluster_arn(),
            arn: view.arn(),
            family: view.family.clone(),
            revision: REVISION,
            desired_status: if view.stopping { "STOPPED" } else { "RUNNING" },
            known_status: match view.status {
                TaskStatus::Pending => "NONE",
                TaskStatus::Running => "RUNNING",
                TaskStatus::Stopped => "STOPPED",
            },
            containers: (view.containers.iter())
                .map(|one| Container::new(view, one, version))
                .collect(),
            limits: limited.then_some(TaskLimits {
                cpu: view.cpu,
                memory: view.memory,
            }),
            pull_started_at: rfc3339(view.begun),
            pull_stopped_at: rfc3339(view.begun),
            execution_stopped_at: view.stopped.map(rfc3339),
            availability_zone: view.zone(),
            task_tags: told.then(|| view.tags.clone()),
            launch_type: "FARGATE",
            service_name: view.service.clone().filter(|_| four),
            clock_drift: four.then(ClockDrift::unknown),
            ephemeral_storage_metrics: four.then(|| Storage {
                utilized: 0,
                reserved: u64::from(view.storage) * 1024,
            }),
            fault_injection_enabled: view.fault_injection,
        }
    }
}

impl ClockDrift {
    /// Nobody asked a time server, so the clock is not said to be right.
    fn unknown() -> Self {
        Self {
            clock_error_bound: 0.0,
            reference_timestamp: rfc3339(std::time::SystemTime::now()),
            clock_synchronization_status: "NOT_SYNCHRONIZED",
        }
    }
}

impl Container {
    pub(super) fn new(view: &TaskView, one: &ContainerView, version: Version) -> Self {
        let four = version == Version::Four;
        let definition = &one.definition;
        let log = definition.log_configuration.as_ref();
        let restarts = definition.restart_policy.is_some();

        Self {
            docker_id: one.id.clone(),
            name: definition.name.clone(),
            docker_name: definition.name.clone(),
            image: definition.image.clone(),
            image_id: String::new(),
            ports: ports(one),
            labels: labels(view, one),
            desired_status: if one.stopping { "STOPPED" } else { "RUNNING" },
            known_status: match (one.started, one.finished) {
                (_, Some(_)) => "STOPPED",
                (Some(_), None) => "RUNNING",
                (None, None) => "PULLED",
            },
            exit_code: one.exit_code,
            limits: ContainerLimits {
                cpu: definition.cpu.unwrap_or(0),
                memory: (definition.memory.or(definition.memory_reservation)).unwrap_or(0),
            },
            created_at: rfc3339(one.created),
            started_at: one.started.map(rfc3339),
            finished_at: one.finished.map(rfc3339),
            r#type: "NORMAL",
            health: one.health.map(|(health, since)| HealthStatus {
                status: health.to_string(),
                status_since: rfc3339(since),
                exit_code: (health == Health::Unhealthy).then_some(one.probe_code),
                output: beginning(&one.output).to_owned(),
            }),
            volumes: mounts(one),
            log_driver: log.filter(|_| four).map(|log| log.log_driver.clone()),
            log_options: (log.filter(|_| four))
                .map(|log| log.options.clone().into_iter().collect())
                .unwrap_or_default(),
            arn: four.then(|| view.container_arn(one)),
            networks: vec![Network {
                mode: "awsvpc",
                addresses: ["127.0.0.1"],
                card: four.then_some(LOOPBACK),
            }],
            snapshotter: four.then_some("overlayfs"),
            restart_count: restarts.then_some(one.restarts),
        }
    }
}

/// What the agent tells of a probe's output.
fn beginning(output: &str) -> &str {
    let end = output.floor_char_boundary(OUTPUT);
    output.get(..end).unwrap_or_default()
}

fn ports(one: &ContainerView) -> Vec<Port> {
    let all = one.definition.port_mappings.iter();
    all.filter_map(|mapping| {
        let port = mapping.container_port?;
        Some(Port {
            container_port: port,
            protocol: mapping.protocol.clone().unwrap_or_else(|| "tcp".to_owned()),
            host_port: port,
        })
    })
    .collect()
}

fn mounts(one: &ContainerView) -> Vec<Mount> {
    let all = one.definition.mount_points.iter();
    all.map(|mount| Mount {
        docker_name: mount.source_volume.clone(),
        destination: mount.container_path.clone(),
    })
    .collect()
}

/// The definition's own, and the five that ECS adds.
fn labels(view: &TaskView, one: &ContainerView) -> BTreeMap<String, String> {
    let added = [
        ("cluster", view.cluster_arn()),
        ("container-name", one.definition.name.clone()),
        ("task-arn", view.arn()),
        ("task-definition-family", view.family.clone()),
        ("task-definition-version", REVISION.to_owned()),
    ];
    let added = added.map(|(name, value)| (format!("com.amazonaws.ecs.{name}"), value));
    let own = one.definition.docker_labels.clone();
    own.into_iter().chain(added).collect()
}

/// The bytes that the agent tells of a probe's output.
const OUTPUT: usize = 1024;
const LOOPBACK: Card = Card {
    index: 0,
    mac: "02:00:00:00:00:01",
    subnet: "127.0.0.0/8",
    servers: ["169.254.169.253"],
    name: "localhost",
    gateway: "127.0.0.1/8",
};
