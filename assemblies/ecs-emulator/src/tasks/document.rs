//! A task as DescribeTasks returns it, and as events have it.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{Container, Task, TaskStatus};
use crate::arn::Owner;
use crate::clusters;
use crate::task_definitions;
use crate::time::{self, TimeFormat};

/// Whether a document has the tags of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tags {
    Include,
    Omit,
}

/// Returns the ARN of a task.
pub(crate) fn arn(task: &Task, owner: &Owner) -> String {
    owner.arn(&format!("task/{}/{}", task.launch.cluster, task.id))
}

/// Returns the document of a task.
pub(crate) fn to_json(task: &Task, owner: &Owner, format: TimeFormat, tags: Tags) -> Value {
    let launch = &task.launch;
    let storage = task.definition.ephemeral_storage.as_ref();
    // Fargate provides 20 GiB by default.
    let storage = json!({ "sizeInGiB": storage.map_or(20, |storage| storage.size_in_gib) });
    let mut document = json!({
        "attachments": [attachment(task)],
        "attributes": [{ "name": "ecs.cpu-architecture", "value": architecture(task) }],
        "availabilityZone": format!("{}a", owner.region),
        "clusterArn": clusters::arn(owner, &launch.cluster),
        "containers": task.containers.iter().map(|own| container(own, task, owner)).collect::<Vec<_>>(),
        "cpu": task.definition.cpu,
        "desiredStatus": if task.is_wanted() { "RUNNING" } else { "STOPPED" },
        "enableExecuteCommand": launch.enable_execute_command,
        "ephemeralStorage": storage.clone(),
        "fargateEphemeralStorage": storage,
        "group": launch.group,
        "healthStatus": task.health,
        "inferenceAccelerators": [],
        "lastStatus": task.status.as_str(),
        "launchType": "FARGATE",
        "memory": task.definition.memory,
        "overrides": overrides(task),
        "platformFamily": "Linux",
        "platformVersion": "1.4.0",
        "tags": [],
        "taskArn": arn(task, owner),
        "taskDefinitionArn": task_definitions::arn(owner, &launch.definition.family, launch.revision),
        "version": task.version,
    });

    if tags == Tags::Include {
        document["tags"] = json!(launch.tags);
    }
    for (name, text) in [
        ("startedBy", &launch.started_by),
        ("capacityProviderName", &launch.capacity_provider),
    ] {
        if let Some(text) = text {
            document[name] = text.as_str().into();
        }
    }
    if let Some(stop) = &task.stop {
        document["stopCode"] = stop.code.as_str().into();
        document["stoppedReason"] = stop.reason.as_str().into();
    }
    if task.times.pull_stopped.is_some() {
        document["connectivity"] = "CONNECTED".into();
    }
    for (name, at) in times(task) {
        if let Some(at) = at {
            document[name] = time::to_json(at, format);
        }
    }
    document
}

fn times(task: &Task) -> [(&'static str, Option<SystemTime>); 8] {
    let times = &task.times;
    [
        ("createdAt", Some(times.created)),
        ("connectivityAt", times.pull_stopped),
        ("pullStartedAt", times.pull_started),
        ("pullStoppedAt", times.pull_stopped),
        ("startedAt", times.started),
        ("stoppingAt", times.stopping),
        ("executionStoppedAt", times.execution_stopped),
        ("stoppedAt", times.stopped),
    ]
}

/// Returns the network interface. Its address is one of this host, on which the task's ports are published.
fn attachment(task: &Task) -> Value {
    let status = match task.status {
        TaskStatus::Provisioning => "PRECREATED",
        TaskStatus::Stopped => "DELETED",
        _ => "ATTACHED",
    };

    // The interface has no address before the task is placed.
    let mut details = vec![json!({ "name": "subnetId", "value": task.launch.subnet })];
    if status != "PRECREATED" {
        let [.., a, b, c] = task.address.octets();
        details.extend([
            json!({ "name": "networkInterfaceId", "value": format!("eni-{}", &task.id[..17]) }),
            // The bit 02 marks an address that is administered locally (IEEE 802).
            json!({ "name": "macAddress", "value": format!("02:00:00:{a:02x}:{b:02x}:{c:02x}") }),
            json!({ "name": "privateIPv4Address", "value": task.address }),
        ]);
    }
    json!({ "id": task.attachment_id, "type": "ElasticNetworkInterface", "status": status, "details": details })
}

fn architecture(task: &Task) -> &'static str {
    let platform = task.definition.runtime_platform.as_ref();
    match platform.and_then(|platform| platform.cpu_architecture.as_deref()) {
        Some("ARM64") => "arm64",
        _ => "x86_64",
    }
}

/// Returns the overrides of a task. Every container is among them, as in ECS's responses.
fn overrides(task: &Task) -> Value {
    let given = &task.launch.overrides;
    let mut value = serde_json::to_value(given).unwrap_or_default();
    let of = |name: &str| {
        let own = given
            .container_overrides
            .iter()
            .find(|own| own.name.as_deref() == Some(name));
        own.map_or_else(|| json!({ "name": name }), |own| json!(own))
    };

    let all: Vec<Value> = task
        .containers
        .iter()
        .map(|container| of(&container.name))
        .collect();
    value["containerOverrides"] = all.into();
    value["inferenceAcceleratorOverrides"] = json!([]);
    value
}

fn container(container: &Container, task: &Task, owner: &Owner) -> Value {
    let path = format!(
        "container/{}/{}/{}",
        task.launch.cluster, task.id, container.id
    );

    let mut value = json!({
        "containerArn": owner.arn(&path),
        "taskArn": arn(task, owner),
        "name": container.name,
        "image": container.image,
        "lastStatus": container.status,
        "networkBindings": container.bindings,
        "networkInterfaces": [{ "attachmentId": task.attachment_id, "privateIpv4Address": task.address }],
        "healthStatus": container.health,
        "managedAgents": [],
        "cpu": container.cpu.to_string(),
    });

    if let Some(memory) = container.memory {
        value["memory"] = memory.to_string().into();
    }
    for (name, text) in [
        ("reason", &container.reason),
        ("runtimeId", &container.runtime_id),
    ] {
        if let Some(text) = text {
            value[name] = text.as_str().into();
        }
    }
    if let Some(code) = container.exit_code {
        value["exitCode"] = code.into();
    }
    value
}
