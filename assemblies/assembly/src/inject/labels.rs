//! How an injected container is known again: labels that say what was asked for, and what to put back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use task_definition::{ContainerDefinition, KeyValue, PortMapping, TaskDefinition};

/// The label with the [`RecordedRequest`].
const ASK: &str = "assemble.inject";
/// The label with the [`Undo`]; only the first injected container has it.
const UNDO: &str = "assemble.inject.undo";

/// What was asked for when a container was injected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedRequest {
    pub(super) component: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) settings: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) secrets: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Undo {
    pub(super) app: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<PortMapping>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) variables: Vec<Variable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<SizeIncrease>,
}

/// A variable that was set in a container that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) container: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// The size of the task, cpu and memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SizeIncrease {
    pub(super) before: [Option<String>; 2],
    pub(super) after: [Option<String>; 2],
}

/// What a container was injected for, if it was.
pub(super) fn recorded_request(container: &ContainerDefinition) -> Option<RecordedRequest> {
    serde_json::from_str(container.docker_labels.get(ASK)?).ok()
}

/// Marks a container.
pub(super) fn write_request(container: &mut ContainerDefinition, request: &RecordedRequest) {
    // Plain words in plain maps always serialise.
    let text = serde_json::to_string(request).unwrap_or_default();
    container.docker_labels.insert(ASK.to_owned(), text);
}

/// Keeps what is to be put back.
pub(super) fn write_undo(container: &mut ContainerDefinition, undo: &Undo) {
    let text = serde_json::to_string(undo).unwrap_or_default();
    container.docker_labels.insert(UNDO.to_owned(), text);
}

/// The definition without what was injected, and what that was.
pub(super) fn strip(definition: &TaskDefinition) -> (TaskDefinition, Vec<RecordedRequest>, Undo) {
    let mut base = definition.clone();
    let containers = &definition.container_definitions;
    let requests: Vec<RecordedRequest> = containers.iter().filter_map(recorded_request).collect();
    let labels = containers
        .iter()
        .find_map(|one| one.docker_labels.get(UNDO));
    let undo = labels.and_then(|text| serde_json::from_str(text).ok());
    let undo: Undo = undo.unwrap_or_default();
    let (ours, kept): (Vec<_>, Vec<_>) = base
        .container_definitions
        .drain(..)
        .partition(|one| recorded_request(one).is_some());

    base.container_definitions = kept;
    let is_ours = |name: &str| ours.iter().any(|one| one.name == name);
    for one in &mut base.container_definitions {
        one.depends_on.retain(|edge| !is_ours(&edge.container_name));
    }

    let mounts = |one: &ContainerDefinition, volume: &str| {
        one.mount_points
            .iter()
            .any(|mount| mount.source_volume == volume)
    };
    let others = &base.container_definitions;

    base.volumes.retain(|volume| {
        let by_ours = ours.iter().any(|one| mounts(one, &volume.name));
        !by_ours || others.iter().any(|one| mounts(one, &volume.name))
    });
    put_back(&mut base, &undo);

    (base, requests, undo)
}

/// What somebody has changed since stays as it is.
fn put_back(base: &mut TaskDefinition, undo: &Undo) {
    for one in &undo.variables {
        let containers = base.container_definitions.iter_mut();
        let Some(container) = containers.into_iter().find(|c| c.name == one.container) else {
            continue;
        };

        if container.variable(&one.name) == Some(&one.after) {
            set(container, &one.name, one.before.as_deref());
        }
    }

    let app = base
        .container_definitions
        .iter_mut()
        .find(|one| one.name == undo.app);

    if let Some(app) = app {
        for (at, port) in undo.ports.iter().enumerate() {
            let is_there = app
                .port_mappings
                .iter()
                .any(|one| one.container_port == port.container_port);
            if !is_there {
                app.port_mappings
                    .insert(at.min(app.port_mappings.len()), port.clone());
            }
        }
    }

    if let Some(size) = &undo.size
        && [&base.cpu, &base.memory] == [&size.after[0], &size.after[1]]
    {
        [base.cpu, base.memory] = size.before.clone();
    }
}

/// Sets a variable, or takes it away; answers what it was.
pub(super) fn set(
    container: &mut ContainerDefinition,
    name: &str,
    value: Option<&str>,
) -> Option<String> {
    let known = container
        .environment
        .iter()
        .position(|one| one.name == name);

    match (known, value) {
        (Some(at), Some(value)) => Some(std::mem::replace(
            &mut container.environment[at].value,
            value.to_owned(),
        )),
        (Some(at), None) => Some(container.environment.remove(at).value),
        (None, Some(value)) => {
            container.environment.push(KeyValue {
                name: name.to_owned(),
                value: value.to_owned(),
            });
            None
        }
        (None, None) => None,
    }
}
