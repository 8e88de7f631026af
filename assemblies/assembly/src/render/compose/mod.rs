//! Renders the task as a Compose project: `compose.yaml`, and `.env.example` for its secrets.
//!
//! The containers of a task share one network namespace. In Compose a small service owns it and publishes the
//! ports, and all others join it. No container can own it: Compose starts the owner before the services that
//! join it, and the outermost container starts last.

use serde_json::{Map, Value, json};
use task_definition::{ContainerDefinition, TaskDefinition};

use crate::plan::Plan;
use crate::yaml::{self, Style};

mod notes;
mod secrets;
mod service;

/// Returns the `compose.yaml` of a plan.
pub(super) fn compose(plan: &Plan) -> String {
    let definition = plan.definition();
    let network_service = network_service_name(definition);
    let mut services = Map::new();
    services.insert(network_service.clone(), network_service_fields(definition));

    // The order of the definition, with the network first, which all others join.
    for container in &definition.container_definitions {
        let service = service::service(definition, container, &network_service);
        services.insert(container.name.clone(), service);
    }

    let mut file = Map::new();
    file.insert("name".to_owned(), project(&definition.family).into());
    file.insert("services".to_owned(), services.into());

    let volumes = volumes(definition);
    if !volumes.is_empty() {
        file.insert("volumes".to_owned(), volumes.into());
    }

    let text = yaml::document(&Value::Object(file), Style::Compose);
    format!("{}{text}", notes::notes(plan, &network_service))
}

/// Returns `.env.example` if the containers have secrets.
pub(super) fn example(plan: &Plan) -> Option<String> {
    secrets::example(plan.definition())
}

/// Returns the name of the service that owns the network, which no container has.
fn network_service_name(definition: &TaskDefinition) -> String {
    let mut name = "network".to_owned();
    while definition.container(&name).is_some() {
        name.push('-');
    }
    name
}

/// Returns the service that owns the network: it sleeps, and has the task's ports and network sysctls.
fn network_service_fields(definition: &TaskDefinition) -> Value {
    let containers = &definition.container_definitions;
    let ports: Vec<String> = containers.iter().flat_map(ports).collect();
    // `net.*` parameters belong to the network namespace, so they can only be set where it is created.
    let sysctls: Map<String, Value> = containers
        .iter()
        .flat_map(|container| &container.system_controls)
        .filter(|control| control.namespace.starts_with("net."))
        .map(|control| (control.namespace.clone(), literal(&control.value).into()))
        .collect();
    let mut service = Map::new();
    let mut set = |field: &str, value: Value| service.insert(field.to_owned(), value);

    set("image", "busybox:1.37".into());
    set("command", json!(["sleep", "infinity"]));
    if !ports.is_empty() {
        set("ports", ports.into());
    }

    if !sysctls.is_empty() {
        set("sysctls", sysctls.into());
    }

    // The kernel ignores SIGTERM for a PID 1 without a handler, and `sleep` has none.
    set("init", true.into());
    set("stop_grace_period", "1s".into());
    set("user", "65534:65534".into());
    set("read_only", true.into());
    set("cap_drop", json!(["ALL"]));
    set("mem_limit", "16m".into());

    service.into()
}

/// Returns the published ports, on the host's loopback only.
fn ports(container: &ContainerDefinition) -> Vec<String> {
    container
        .port_mappings
        .iter()
        .filter_map(|mapping| {
            // Host and container port are equal, as on Fargate, where each task has its own address.
            let inside = match (&mapping.container_port_range, mapping.container_port) {
                (Some(range), _) => range.clone(),
                (None, port) => port?.to_string(),
            };
            let protocol = mapping.protocol.as_deref().unwrap_or("tcp");
            Some(format!("127.0.0.1:{inside}:{inside}/{protocol}"))
        })
        .collect()
}

/// Returns the volumes as Docker volumes, which are empty when created, as on Fargate.
fn volumes(definition: &TaskDefinition) -> Map<String, Value> {
    definition
        .volumes
        .iter()
        .map(|volume| (volume.name.clone(), json!({})))
        .collect()
}

/// Returns a valid Compose project name: lower case, starting with a letter or digit.
fn project(family: &str) -> String {
    let lower = family.to_lowercase();
    let name = lower.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() {
        "task".to_owned()
    } else {
        name.to_owned()
    }
}

/// Escapes `$`, with which Compose begins a variable.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}
