//! A component beside the containers of a definition that is there already.
//!
//! ```text
//! definition ─strip▶ without us ─┐
//! what was and is asked for ─────┴ pseudo-assembly ─wire, derive▶ containers ─join▶ definition
//! ```
//!
//! The containers that are there stand in an assembly as components that cannot be told anything, and
//! the assembler derives the new ones as always. Everything injected before is taken out first and put in
//! again, so a second time changes nothing, and other settings change what they should.

use std::collections::BTreeMap;

use task_definition::{Finding, TaskDefinition};

use crate::component::{Catalog, Kind};
use crate::plan::iam::Statement;
use crate::values::Values;

mod join;
mod labels;
mod synthetic;

use labels::RecordedRequest;

/// What is to be injected.
#[derive(Debug, Clone, Default)]
pub struct InjectRequest {
    /// The component.
    pub component: String,
    /// The container it is for; the likeliest when left out.
    pub app: Option<String>,
    /// The port on which that container serves, where no port mapping says so.
    pub port: Option<u16>,
    /// Settings, as in a manifest.
    pub settings: BTreeMap<String, String>,
    /// Secret settings: the ARN of each.
    pub secrets: BTreeMap<String, String>,
    /// Another image than the component's.
    pub image: Option<String>,
}

/// The definition with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// The whole definition.
    pub definition: TaskDefinition,
    /// What somebody has to do or to know: sentences.
    pub notes: Vec<String>,
    /// What the execution role must be allowed for the injected containers.
    pub execution_role: Vec<Statement>,
    /// What the task role must be allowed for them.
    pub task_role: Vec<Statement>,
}

/// Why it cannot be injected.
#[derive(Debug, Clone, PartialEq)]
pub enum InjectError {
    /// In words.
    Invalid(String),
    /// What the assembler says about what was asked for.
    Findings(Vec<Finding>),
}

/// Puts a component in, or brings one that was put in up to date.
pub fn inject(
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    request: &InjectRequest,
) -> Result<Injection, InjectError> {
    let (base, mut requests, undo) = labels::strip(definition);
    let kind = kind(catalog, &request.component)?;
    let known = requests
        .iter_mut()
        .find(|recorded| recorded.component == request.component);

    if let Some(recorded) = known {
        renew(recorded, request);
    } else {
        let component = request.component.clone();
        let mut recorded = RecordedRequest {
            component,
            ..RecordedRequest::default()
        };

        renew(&mut recorded, request);
        let at = place_of(&recorded, kind, &requests, catalog);
        requests.insert(at, recorded);
    }

    let app = request
        .app
        .clone()
        .or((!undo.app.is_empty()).then(|| undo.app.clone()));

    again(&base, catalog, values, &requests, app, request.port)
}

/// Takes a component out that was put in; the others that were put in stay.
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
        let why = format!("no container of it was injected as `{component}`");
        return Err(InjectError::Invalid(why));
    }

    again(&base, catalog, values, &requests, Some(undo.app), None)
}

fn again(
    base: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    requests: &[RecordedRequest],
    app: Option<String>,
    port: Option<u16>,
) -> Result<Injection, InjectError> {
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
        None => {
            let hint = crate::text::suggest(name, catalog.names());
            Err(InjectError::Invalid(format!(
                "there is no component `{name}`; {hint}"
            )))
        }
    }
}

/// What is not said again stays.
fn renew(recorded: &mut RecordedRequest, request: &InjectRequest) {
    recorded.settings.extend(request.settings.clone());
    recorded.secrets.extend(request.secrets.clone());
    recorded.image = request.image.clone().or(recorded.image.take());
}

/// Who ends TLS stands outermost, other proxies right before the app, sidecars last.
fn place_of(
    recorded: &RecordedRequest,
    kind: Kind,
    requests: &[RecordedRequest],
    catalog: &Catalog,
) -> usize {
    let file = |name: &str| Some(catalog.component(name)?.ok()?.file());
    let ends_tls =
        file(&recorded.component).is_some_and(|file| file.provides.contains_key("https"));
    let is_proxy =
        |one: &&RecordedRequest| file(&one.component).is_some_and(|file| file.kind == Kind::Proxy);
    match kind {
        Kind::Proxy if ends_tls => 0,
        Kind::Proxy => requests.iter().take_while(is_proxy).count(),
        _ => requests.len(),
    }
}
