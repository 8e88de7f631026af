//! The same task under docker compose: `compose.yaml`, and the secrets it asks for.
//!
//! The containers of a task share one network, and so do the services here: a small service holds it and
//! publishes the ports, all others join it. None of the containers can hold it itself, since the outermost
//! one starts last and compose starts those who join after the one they join.

use serde_json::{Map, Value, json};
use task_definition::{ContainerDefinition, TaskDefinition};

use super::yaml::yaml;
use crate::plan::Plan;

mod notes;
mod secrets;
mod service;

/// `compose.yaml` of a plan.
pub(super) fn compose(plan: &Plan) -> String {
    let definition = plan.definition();
    let holder = holder(definition);
    let mut services = Map::new();
    services.insert(holder.clone(), network(definition));

    for container in &definition.container_definitions {
        let service = service::service(definition, container, &holder);
        services.insert(container.name.clone(), service);
    }

    let mut file = Map::new();
    file.insert("name".to_owned(), project(&definition.family).into());
    file.insert("services".to_owned(), services.into());

    let volumes = volumes(definition);
    if !volumes.is_empty() {
        file.insert("volumes".to_owned(), volumes.into());
    }

    format!("{}{}", notes::notes(plan, &holder), yaml(&file))
}

/// `.env.example`, where the containers have secrets.
pub(super) fn example(plan: &Plan) -> Option<String> {
    secrets::example(plan.definition())
}

/// A name for the service that holds the network; a container may have the obvious one.
fn holder(definition: &TaskDefinition) -> String {
    let mut name = "network".to_owned();
    while definition.container(&name).is_some() {
        name.push('-');
    }
    name
}

/// It sleeps. It is the task's address: its ports are the task's, and so are the kernel's settings of the
/// network.
fn network(definition: &TaskDefinition) -> Value {
    let containers = &definition.container_definitions;
    let ports: Vec<String> = containers.iter().flat_map(ports).collect();
    let controls = containers.iter().flat_map(|one| &one.system_controls);
    let sysctls: Map<String, Value> = controls
        .filter(|one| one.namespace.starts_with("net."))
        .map(|one| (one.namespace.clone(), literal(&one.value).into()))
        .collect();
    let mut service = Map::new();
    let mut say = |field: &str, value: Value| service.insert(field.to_owned(), value);

    say("image", "busybox:1.37".into());
    say("command", json!(["sleep", "infinity"]));
    if !ports.is_empty() {
        say("ports", ports.into());
    }

    if !sysctls.is_empty() {
        say("sysctls", sysctls.into());
    }

    // Without an init, `sleep` as PID 1 would not hear SIGTERM.
    say("init", true.into());
    say("stop_grace_period", "1s".into());
    say("user", "65534:65534".into());
    say("read_only", true.into());
    say("cap_drop", json!(["ALL"]));
    say("mem_limit", "16m".into());

    service.into()
}

/// Only this machine may come in; `compose.yaml` says how to open it to others.
fn ports(container: &ContainerDefinition) -> Vec<String> {
    let mappings = container.port_mappings.iter();
    let ports = mappings.filter_map(|mapping| {
        let inside = match (&mapping.container_port_range, mapping.container_port) {
            (Some(range), _) => range.clone(),
            (None, port) => port?.to_string(),
        };
        let protocol = mapping.protocol.as_deref().unwrap_or("tcp");
        Some(format!("127.0.0.1:{inside}:{inside}/{protocol}"))
    });
    ports.collect()
}

/// Every volume is one of Docker's: empty when it is made, as on Fargate.
fn volumes(definition: &TaskDefinition) -> Map<String, Value> {
    let volumes = definition.volumes.iter();
    volumes.map(|one| (one.name.clone(), json!({}))).collect()
}

/// What compose takes as the name of a project.
fn project(family: &str) -> String {
    let lower = family.to_lowercase();
    let name = lower.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() {
        "task".to_owned()
    } else {
        name.to_owned()
    }
}

/// Text that stands for itself: compose would take a `$` for the beginning of a variable.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}
