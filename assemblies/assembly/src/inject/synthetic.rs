//! The pseudo-assembly: what is there stands as components that cannot be told anything, and what is
//! injected as what it is.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use task_definition::source::Source;
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

/// What the assembler makes of it.
#[derive(Debug)]
pub(super) struct SyntheticAssembly {
    /// The app's name.
    pub(super) app: String,
    /// The port on which it serves, if something is put in front of it.
    pub(super) port: Option<u32>,
    /// The derived containers, those that are there included.
    pub(super) derived: TaskDefinition,
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
                "`{}` maps no port; say with --port on which one it serves",
                app.name
            )));
        }

        let manifest = manifest(base, catalog, requests, &app.name);
        let existing = base.container_definitions.iter();
        let catalog = existing.fold(catalog.clone(), |catalog, one| {
            let port = port.filter(|_| one.name == app.name);
            catalog.with(&component(one, app, port))
        });
        let mut values = values.clone();

        for (name, known) in AccountContext::from_definition(base).values() {
            if let Some(known) = known {
                values = values.with(name, known);
            }
        }

        let source = Source::new("what is to be injected", format!("{manifest:#}\n"));
        let wiring = crate::wiring(&source, &catalog, &values).map_err(InjectError::Findings)?;
        let derived = plan::derived(&wiring).map_err(InjectError::Findings)?;
        let roles = plan::roles(&wiring).map_err(InjectError::Findings)?;

        Ok(Self {
            app: app.name.clone(),
            port,
            derived,
            roles,
        })
    }
}

/// A container of that name that somebody else put there is not ours to replace.
fn check_name_conflicts(
    base: &TaskDefinition,
    requests: &[RecordedRequest],
) -> Result<(), InjectError> {
    let names = requests.iter().map(|request| &request.component);
    match names
        .into_iter()
        .find(|name| base.container(name).is_some())
    {
        None => Ok(()),
        Some(name) => Err(InjectError::Invalid(format!(
            "there is a container `{name}` already that was not injected; take it out first"
        ))),
    }
}

pub(super) fn is_proxy(catalog: &Catalog, request: &RecordedRequest) -> bool {
    let component = catalog.component(&request.component);
    component.is_some_and(|one| one.is_ok_and(|one| one.file().kind == Kind::Proxy))
}

/// The first port that is mapped.
fn first_tcp_port(app: &ContainerDefinition) -> Option<u32> {
    let mappings = app.port_mappings.iter();
    let mut tcp = mappings.filter(|one| one.protocol.as_deref() != Some("udp"));
    tcp.find_map(|one| one.container_port)
}

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
        .filter(|one| one.name != app);

    sidecars.extend(others.map(|one| one.name.clone()));
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
        overrides.insert(name, container_limits(catalog, request));
    }

    json!({
        "name": to_name(&base.family), "app": app, "ingress": ingress, "sidecars": sidecars,
        "settings": settings, "secrets": secrets, "overrides": overrides, "service": {},
    })
}

/// Its floor, and as much again before it is killed: what is left over belongs to who was there first.
fn container_limits(catalog: &Catalog, request: &RecordedRequest) -> Value {
    let mut own = Map::new();
    if let Some(Ok(component)) = catalog.component(&request.component) {
        let size = &component.file().size;
        own.insert("cpu".to_owned(), json!(size.cpu));
        own.insert("memory".to_owned(), json!(size.memory * 2));
        own.insert("memoryReservation".to_owned(), json!(size.memory));
    }

    own.extend(
        request
            .image
            .iter()
            .map(|image| ("image".to_owned(), json!(image))),
    );

    Value::Object(own)
}

/// A container that is there: its ports are taken, it can be told nothing, and it sends telemetry.
fn component(
    container: &ContainerDefinition,
    app: &ContainerDefinition,
    port: Option<u32>,
) -> Source {
    let mut provides = Map::new();
    if let Some(port) = port {
        provides.insert("http".to_owned(), json!({ "port": port }));
    }

    let mapped = container
        .port_mappings
        .iter()
        .filter_map(|one| one.container_port);

    for other in mapped.chain(listening(container)) {
        if Some(other) != port && (1..=65535).contains(&other) {
            provides.insert(format!("port-{other}"), json!({ "port": other }));
        }
    }

    let kind = if container.name == app.name {
        "app"
    } else {
        "sidecar"
    };

    let text = json!({
        "schema": 1, "name": container.name, "kind": kind, "summary": "stands there already",
        "image": "there", "provides": provides, "telemetry": true, "container": {},
        "size": { "cpu": 1, "memory": 6 },
    });

    Source::new(
        format!("{}/component.yaml", container.name),
        text.to_string(),
    )
}

/// Ports that its variables say it listens on: one address for all containers means one owner for each.
fn listening(container: &ContainerDefinition) -> impl Iterator<Item = u32> {
    let about_listening = |name: &str| {
        let name = name.to_uppercase();
        ["LISTEN", "BIND", "ADMIN"]
            .iter()
            .any(|word| name.contains(word))
    };

    let variables = container.environment.iter();
    let variables = variables.filter(move |one| about_listening(&one.name));
    variables.filter_map(|one| {
        let address: SocketAddr = one.value.parse().ok()?;
        Some(u32::from(address.port()))
    })
}
