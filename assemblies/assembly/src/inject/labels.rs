//! The Docker labels of injected containers: the request, and what to restore when they are removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use task_definition::{ContainerDefinition, KeyValue, PortMapping, TaskDefinition};

/// The label with the [`RecordedRequest`].
const REQUEST: &str = "assemble.inject";
/// The label with the [`Undo`]; only the first injected container has it.
const UNDO: &str = "assemble.inject.undo";

/// The request that a container was injected for.
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

/// The state before the injection.
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

/// A variable that was set in an existing container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Variable {
    pub(super) container: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// A change of the task size: CPU and memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SizeIncrease {
    pub(super) before: [Option<String>; 2],
    pub(super) after: [Option<String>; 2],
}

/// Returns the request that a container was injected for, if it was.
pub(super) fn recorded_request(container: &ContainerDefinition) -> Option<RecordedRequest> {
    serde_json::from_str(container.docker_labels.get(REQUEST)?).ok()
}

/// Writes the request into a label of the container.
pub(super) fn write_request(container: &mut ContainerDefinition, request: &RecordedRequest) {
    // Strings and maps of strings always serialise.
    let text = serde_json::to_string(request).unwrap_or_default();
    container.docker_labels.insert(REQUEST.to_owned(), text);
}

/// Writes the state to restore into a label of the container.
pub(super) fn write_undo(container: &mut ContainerDefinition, undo: &Undo) {
    let text = serde_json::to_string(undo).unwrap_or_default();
    container.docker_labels.insert(UNDO.to_owned(), text);
}

/// Returns the definition without injected containers, their requests, and the restored state.
pub(super) fn strip(definition: &TaskDefinition) -> (TaskDefinition, Vec<RecordedRequest>, Undo) {
    let mut base = definition.clone();
    let containers = &definition.container_definitions;
    let requests: Vec<RecordedRequest> = containers.iter().filter_map(recorded_request).collect();
    let labels = containers
        .iter()
        .find_map(|container| container.docker_labels.get(UNDO));
    let undo: Undo = labels
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    // Requests and undo data are read from the labels before the containers are dropped.
    let (injected, kept): (Vec<_>, Vec<_>) = base
        .container_definitions
        .drain(..)
        .partition(|container| recorded_request(container).is_some());

    base.container_definitions = kept;
    let is_injected = |name: &str| injected.iter().any(|container| container.name == name);
    for container in &mut base.container_definitions {
        container
            .depends_on
            .retain(|edge| !is_injected(&edge.container_name));
    }

    let mounts = |container: &ContainerDefinition, volume: &str| {
        container
            .mount_points
            .iter()
            .any(|mount| mount.source_volume == volume)
    };
    let others = &base.container_definitions;

    base.volumes.retain(|volume| {
        // Only a volume that injected containers alone mount was injected with them.
        let by_injected = injected
            .iter()
            .any(|container| mounts(container, &volume.name));
        !by_injected
            || others
                .iter()
                .any(|container| mounts(container, &volume.name))
    });
    restore(&mut base, &undo);

    (base, requests, undo)
}

/// Restores the state before the injection, except for values that have been changed since.
fn restore(base: &mut TaskDefinition, undo: &Undo) {
    for variable in &undo.variables {
        let containers = base.container_definitions.iter_mut();
        let Some(container) = containers
            .into_iter()
            .find(|c| c.name == variable.container)
        else {
            continue;
        };

        if container.variable(&variable.name) == Some(&variable.after) {
            set(container, &variable.name, variable.before.as_deref());
        }
    }

    let app = base
        .container_definitions
        .iter_mut()
        .find(|container| container.name == undo.app);

    if let Some(app) = app {
        for (at, port) in undo.ports.iter().enumerate() {
            let is_there = app
                .port_mappings
                .iter()
                .any(|mapping| mapping.container_port == port.container_port);
            if !is_there {
                // At its old position, as far as the list is still that long.
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

/// Sets or removes a variable, and returns its previous value.
pub(super) fn set(
    container: &mut ContainerDefinition,
    name: &str,
    value: Option<&str>,
) -> Option<String> {
    let index = container
        .environment
        .iter()
        .position(|variable| variable.name == name);

    match (index, value) {
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
