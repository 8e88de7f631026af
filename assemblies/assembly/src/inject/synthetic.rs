//! The synthetic assembly: existing containers as components without settings, and the injected components.

use std::net::SocketAddr;

use diagnostics::source::Source;
use serde_json::{Map, Value, json};
use task_definition::{ContainerDefinition, TaskDefinition};

use super::InjectError;
use super::labels::RecordedRequest;
use crate::component::{Catalog, Kind};
use crate::import::account_context::AccountContext;
use crate::import::draft::{parse_setting, to_name};
use crate::import::roles;
use crate::plan;
use crate::plan::iam::Statement;
use crate::values::Values;

/// The derived task of the synthetic assembly.
#[derive(Debug)]
pub(super) struct SyntheticAssembly {
    /// The name of the app.
    pub(super) app: String,
    /// The port of the app, if it has one.
    pub(super) port: Option<u32>,
    /// The derived task, including the existing containers.
    pub(super) derived: TaskDefinition,
    /// The permissions of the execution role and of the task role.
    pub(super) roles: [Vec<Statement>; 2],
}

impl SyntheticAssembly {
    pub(super) fn new(
        base: &TaskDefinition,
        catalog: &Catalog,
        values: &Values,
        requests: &[RecordedRequest],
        app: Option<&str>,
        port: Option<u16>,
    ) -> Result<Self, InjectError> {
        check_name_conflicts(base, requests)?;
        let app = roles::find_app(base, catalog, app).map_err(InjectError::Invalid)?;
        let app = &base.container_definitions[app];
        let port = port.map(u32::from).or_else(|| first_tcp_port(app));

        if port.is_none() && requests.iter().any(|request| is_proxy(catalog, request)) {
            return Err(InjectError::Invalid(format!(
                "`{}` maps no port; pass the port it listens on with --port",
                app.name
            )));
        }

        let manifest = manifest(base, catalog, requests, &app.name);
        let existing = base.container_definitions.iter();
        // Existing containers replace catalog components of the same name in this copy.
        let catalog = existing.fold(catalog.clone(), |catalog, container| {
            let port = port.filter(|_| container.name == app.name);
            catalog.with(&component(container, app, port))
        });
        let mut values = values.clone();

        for (name, value) in AccountContext::from_definition(base).values() {
            if let Some(value) = value {
                values = values.with(name, value);
            }
        }

        let source = Source::new("the injected components", format!("{manifest:#}\n"));
        let wiring = crate::wiring(&source, &catalog, &values).map_err(InjectError::Findings)?;
        let derived = plan::derive_definition(&wiring).map_err(InjectError::Findings)?;
        let roles = plan::roles(&wiring).map_err(InjectError::Findings)?;

        Ok(Self {
            app: app.name.clone(),
            port,
            derived,
            roles,
        })
    }
}

/// Rejects a request with the name of a container that was not injected.
fn check_name_conflicts(
    base: &TaskDefinition,
    requests: &[RecordedRequest],
) -> Result<(), InjectError> {
    let mut names = requests.iter().map(|request| &request.component);
    match names.find(|name| base.container(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(InjectError::Invalid(format!(
            "the definition already has a container `{name}` that was not injected; remove it first"
        ))),
    }
}

pub(super) fn is_proxy(catalog: &Catalog, request: &RecordedRequest) -> bool {
    let component = catalog.component(&request.component);
    component
        .is_some_and(|result| result.is_ok_and(|component| component.file().kind == Kind::Proxy))
}

/// Returns the first mapped TCP port.
fn first_tcp_port(app: &ContainerDefinition) -> Option<u32> {
    let mappings = app.port_mappings.iter();
    let mut tcp = mappings.filter(|mapping| mapping.protocol.as_deref() != Some("udp"));
    tcp.find_map(|mapping| mapping.container_port)
}

/// Returns the manifest of the synthetic assembly.
fn manifest(
    base: &TaskDefinition,
    catalog: &Catalog,
    requests: &[RecordedRequest],
    app: &str,
) -> Value {
    let (mut ingress, mut sidecars) = (Vec::new(), Vec::new());
    let others = base
        .container_definitions
        .iter()
        .filter(|container| container.name != app);

    sidecars.extend(others.map(|container| container.name.clone()));
    let [mut settings, mut secrets, mut overrides] = [(); 3].map(|()| Map::new());
    for request in requests {
        let name = request.component.clone();
        let list = if is_proxy(catalog, request) {
            &mut ingress
        } else {
            &mut sidecars
        };

        list.push(name.clone());
        let given = request
            .settings
            .iter()
            .map(|(key, text)| (key.clone(), parse_setting(text)));

        settings.insert(name.clone(), Value::Object(given.collect()));
        secrets.insert(name.clone(), json!(request.secrets));
        overrides.insert(name, container_fields(base, catalog, request));
    }

    json!({
        "name": to_name(&base.family), "app": app, "ingress": ingress, "sidecars": sidecars,
        "settings": settings, "secrets": secrets, "overrides": overrides, "service": {},
    })
}

/// Returns overrides for an injected container: its minimum size as the reservation, and twice that as the limit. The
/// rest of the task size remains for the existing containers.
fn container_fields(base: &TaskDefinition, catalog: &Catalog, request: &RecordedRequest) -> Value {
    let mut overrides = Map::new();
    if let Some(Ok(component)) = catalog.component(&request.component) {
        let size = &component.file().size;
        overrides.insert("cpu".to_owned(), json!(size.cpu));
        overrides.insert("memory".to_owned(), json!(size.memory * 2));
        overrides.insert("memoryReservation".to_owned(), json!(size.memory));
    }

    let image = request.image.as_deref();
    let image = image.or_else(|| existing_bundle(base, catalog, &request.component));
    overrides.extend(image.map(|image| ("image".to_owned(), json!(image))));

    Value::Object(overrides)
}

/// Returns the image of a bundle with the component, if an existing container runs it: it is pulled already.
fn existing_bundle<'t>(
    base: &'t TaskDefinition,
    catalog: &Catalog,
    component: &str,
) -> Option<&'t str> {
    let mut containers = base.container_definitions.iter();
    let found = containers.find(|container| {
        let bundled = catalog.find_bundled(container);
        bundled.is_some_and(|(bundle, _)| bundle.contains(component))
    });
    found.map(|container| container.image.as_str())
}

/// Returns the component.yaml of an existing container: its ports are in use, it has no settings, and it sends telemetry.
fn component(
    container: &ContainerDefinition,
    app: &ContainerDefinition,
    port: Option<u32>,
) -> Source {
    let mut provides = Map::new();
    // The hop in front of the app needs an upstream that speaks HTTP.
    if let Some(port) = port {
        provides.insert("http".to_owned(), json!({ "port": port }));
    }

    let mapped = container
        .port_mappings
        .iter()
        .filter_map(|mapping| mapping.container_port);

    for other in mapped.chain(listen_ports(container)) {
        if Some(other) != port && (1..=65535).contains(&other) {
            provides.insert(format!("port-{other}"), json!({ "port": other }));
        }
    }

    let kind = if container.name == app.name {
        "app"
    } else {
        "sidecar"
    };

    // The image, the summary and the size are required fields, but never rendered.
    let text = json!({
        "schema": 1, "name": container.name, "kind": kind, "summary": "existing container",
        "image": "there", "provides": provides, "telemetry": true, "container": {},
        "size": { "cpu": 1, "memory": 6 },
    });

    Source::new(
        format!("{}/component.yaml", container.name),
        text.to_string(),
    )
}

/// Returns the ports that the variables of a container contain. All containers share one network namespace, so the
/// assembler must not assign these ports again.
fn listen_ports(container: &ContainerDefinition) -> impl Iterator<Item = u32> {
    let names_address = |name: &str| {
        let name = name.to_uppercase();
        ["LISTEN", "BIND", "ADMIN"]
            .iter()
            .any(|word| name.contains(word))
    };

    let variables = container.environment.iter();
    let variables = variables.filter(move |variable| names_address(&variable.name));
    variables.filter_map(|variable| {
        let address: SocketAddr = variable.value.parse().ok()?;
        Some(u32::from(address.port()))
    })
}
