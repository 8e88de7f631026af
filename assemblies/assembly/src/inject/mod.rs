//! Adds a component to an existing task definition.
//!
//! ```text
//! definition ─strip▶ base definition ─┐
//! recorded and new requests ──────────┴ synthetic assembly ─wire, derive▶ containers ─join▶ definition
//! ```
//!
//! The existing containers become components without settings in a synthetic assembly, and the assembler derives the
//! new ones as usual. Everything that was injected before is removed first and injected again. Therefore injecting twice
//! changes nothing, and changed settings take effect.

use std::collections::BTreeMap;

use diagnostics::Finding;
use task_definition::TaskDefinition;

use crate::component::{Catalog, Kind};
use crate::plan::iam::Statement;
use crate::values::Values;

mod join;
mod labels;
mod synthetic;

use labels::RecordedRequest;

/// A request to inject a component.
#[derive(Debug, Clone, Default)]
pub struct InjectRequest {
    /// The component.
    pub component: String,
    /// The container it is for; the default is the most likely app.
    pub app: Option<String>,
    /// The port of that container, if no port mapping has it.
    pub port: Option<u16>,
    /// Settings, as in a manifest.
    pub settings: BTreeMap<String, String>,
    /// Secret settings: the ARN of each.
    pub secrets: BTreeMap<String, String>,
    /// An image in place of the component's.
    pub image: Option<String>,
}

/// The result of an injection or removal.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// The complete definition.
    pub definition: TaskDefinition,
    /// Notes for the user, one sentence each: required actions and changes.
    pub notes: Vec<String>,
    /// The permissions that the injected containers need in the execution role.
    pub execution_role: Vec<Statement>,
    /// The permissions that they need in the task role.
    pub task_role: Vec<Statement>,
}

/// The error of an injection or removal.
#[derive(Debug, Clone, PartialEq)]
pub enum InjectError {
    /// The request does not fit the definition; a message.
    Invalid(String),
    /// The findings for the synthetic assembly.
    Findings(Vec<Finding>),
}

/// Injects a component, or updates one that was injected before.
pub fn inject(
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    request: &InjectRequest,
) -> Result<Injection, InjectError> {
    let (base, mut requests, undo) = labels::strip(definition);
    let kind = kind(catalog, &request.component)?;
    let existing = requests
        .iter_mut()
        .find(|recorded| recorded.component == request.component);

    if let Some(recorded) = existing {
        update(recorded, request);
    } else {
        let component = request.component.clone();
        let mut recorded = RecordedRequest {
            component,
            ..RecordedRequest::default()
        };

        update(&mut recorded, request);
        let at = position(&recorded, kind, &requests, catalog);
        requests.insert(at, recorded);
    }

    // A later request keeps the app of the first one.
    let app = request
        .app
        .clone()
        .or((!undo.app.is_empty()).then(|| undo.app.clone()));

    inject_all(&base, catalog, values, &requests, app, request.port)
}

/// Removes an injected component, and keeps the other injected ones.
pub fn remove(
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    component: &str,
) -> Result<Injection, InjectError> {
    let (base, mut requests, undo) = labels::strip(definition);
    let before = requests.len();
    requests.retain(|recorded| recorded.component != component);

    if requests.len() == before {
        let why = format!("`{component}` was not injected into this definition");
        return Err(InjectError::Invalid(why));
    }

    inject_all(&base, catalog, values, &requests, Some(undo.app), None)
}

/// Injects all requests into the base definition.
fn inject_all(
    base: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    requests: &[RecordedRequest],
    app: Option<String>,
    port: Option<u16>,
) -> Result<Injection, InjectError> {
    // The last component was removed; the base definition is the original.
    if requests.is_empty() {
        return Ok(Injection {
            definition: base.clone(),
            notes: Vec::new(),
            execution_role: Vec::new(),
            task_role: Vec::new(),
        });
    }

    let assembly =
        synthetic::SyntheticAssembly::new(base, catalog, values, requests, app.as_deref(), port)?;
    join::join(base, catalog, requests, &assembly)
}

fn kind(catalog: &Catalog, name: &str) -> Result<Kind, InjectError> {
    match catalog.component(name) {
        Some(Ok(component)) => match component.file().kind {
            kind @ (Kind::Proxy | Kind::Sidecar) => Ok(kind),
            _ => Err(InjectError::Invalid(format!(
                "`{name}` is neither a proxy nor a sidecar"
            ))),
        },
        Some(Err(findings)) => Err(InjectError::Findings(findings.to_vec())),
        None if catalog.names().next().is_none() => Err(InjectError::Invalid(format!(
            "there is no component `{name}`: this folder has no components; run it in the folder of a project, or pass --project DIR"
        ))),
        None => {
            let hint = crate::text::suggest(name, catalog.names());
            Err(InjectError::Invalid(format!(
                "there is no component `{name}`; {hint}"
            )))
        }
    }
}

/// Updates a recorded request. What the new request leaves out is kept.
fn update(recorded: &mut RecordedRequest, request: &InjectRequest) {
    recorded.settings.extend(request.settings.clone());
    recorded.secrets.extend(request.secrets.clone());
    recorded.image = request.image.clone().or(recorded.image.take());
}

/// Returns the position of a new request: TLS proxies outermost, other proxies right before the app, sidecars last.
fn position(
    recorded: &RecordedRequest,
    kind: Kind,
    requests: &[RecordedRequest],
    catalog: &Catalog,
) -> usize {
    let file = |name: &str| Some(catalog.component(name)?.ok()?.file());
    let terminates_tls =
        file(&recorded.component).is_some_and(|file| file.provides.contains_key("https"));
    let is_proxy = |request: &&RecordedRequest| {
        file(&request.component).is_some_and(|file| file.kind == Kind::Proxy)
    };
    match kind {
        Kind::Proxy if terminates_tls => 0,
        Kind::Proxy => requests.iter().take_while(is_proxy).count(),
        _ => requests.len(),
    }
}
