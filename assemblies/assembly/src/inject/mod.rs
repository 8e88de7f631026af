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
mod mark;
mod stage;

use mark::Ask;

/// What is to be injected.
#[derive(Debug, Clone, Default)]
pub struct Request {
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
pub struct Injected {
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
pub enum Refused {
    /// In words.
    Because(String),
    /// What the assembler says about what was asked for.
    Findings(Vec<Finding>),
}

/// Puts a component in, or brings one that was put in up to date.
pub fn inject(
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    request: &Request,
) -> Result<Injected, Refused> {
    let (base, mut asks, undo) = mark::strip(definition);
    let kind = kind(catalog, &request.component)?;
    let known = asks
        .iter_mut()
        .find(|ask| ask.component == request.component);

    if let Some(ask) = known {
        renew(ask, request);
    } else {
        let component = request.component.clone();
        let mut ask = Ask {
            component,
            ..Ask::default()
        };

        renew(&mut ask, request);
        let at = place_of(&ask, kind, &asks, catalog);
        asks.insert(at, ask);
    }

    let app = request
        .app
        .clone()
        .or((!undo.app.is_empty()).then(|| undo.app.clone()));

    again(&base, catalog, values, &asks, app, request.port)
}

/// Takes a component out that was put in; the others that were put in stay.
pub fn remove(
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    component: &str,
) -> Result<Injected, Refused> {
    let (base, mut asks, undo) = mark::strip(definition);
    let before = asks.len();
    asks.retain(|ask| ask.component != component);

    if asks.len() == before {
        let why = format!("no container of it was injected as `{component}`");
        return Err(Refused::Because(why));
    }

    again(&base, catalog, values, &asks, Some(undo.app), None)
}

fn again(
    base: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
    asks: &[Ask],
    app: Option<String>,
    port: Option<u16>,
) -> Result<Injected, Refused> {
    if asks.is_empty() {
        return Ok(Injected {
            definition: base.clone(),
            notes: Vec::new(),
            execution_role: Vec::new(),
            task_role: Vec::new(),
        });
    }

    let stage = stage::Stage::of(base, catalog, values, asks, app.as_deref(), port)?;
    join::join(base, catalog, asks, &stage)
}

fn kind(catalog: &Catalog, name: &str) -> Result<Kind, Refused> {
    match catalog.component(name) {
        Some(Ok(component)) => match component.file().kind {
            kind @ (Kind::Proxy | Kind::Sidecar) => Ok(kind),
            _ => Err(Refused::Because(format!(
                "`{name}` is neither a proxy nor a sidecar"
            ))),
        },
        Some(Err(findings)) => Err(Refused::Findings(findings.to_vec())),
        None => {
            let hint = crate::text::meant(name, catalog.names());
            Err(Refused::Because(format!(
                "there is no component `{name}`; {hint}"
            )))
        }
    }
}

/// What is not said again stays.
fn renew(ask: &mut Ask, request: &Request) {
    ask.settings.extend(request.settings.clone());
    ask.secrets.extend(request.secrets.clone());
    ask.image = request.image.clone().or(ask.image.take());
}

/// Who ends TLS stands outermost, other proxies right before the app, sidecars last.
fn place_of(ask: &Ask, kind: Kind, asks: &[Ask], catalog: &Catalog) -> usize {
    let file = |name: &str| Some(catalog.component(name)?.ok()?.file());
    let ends_tls = file(&ask.component).is_some_and(|file| file.provides.contains_key("https"));
    let is_proxy = |one: &&Ask| file(&one.component).is_some_and(|file| file.kind == Kind::Proxy);
    match kind {
        Kind::Proxy if ends_tls => 0,
        Kind::Proxy => asks.iter().take_while(is_proxy).count(),
        _ => asks.len(),
    }
}
