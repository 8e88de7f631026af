//! A task definition of anybody as an assembly: a manifest, and a `component.yaml` for each container
//! that no component describes yet. Rendered, it is the same definition again.
//!
//! ```text
//! definition ─fargate▶ can it be? ─casting▶ roles ─draft▶ manifest ─derive▶ what comes of it
//!                                                   ▲                            │
//!                                                   └── overrides, patch ◀─differing
//! ```
//!
//! What is derived stays derived; only where the original says otherwise the manifest overrides it, with
//! a comment. The result is planned and compared before it is given out, so it cannot be almost right.

use task_definition::source::Source;
use task_definition::{Finding, Place, Severity, TaskDefinition, difference, normalise};

use crate::component::Catalog;
use crate::values::Values;

pub(crate) mod casting;
mod describe;
mod differing;
pub(crate) mod draft;
mod fargate;
pub(crate) mod local;
pub(crate) mod yaml;

/// What is said about an import beside the definition.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The assembly's name; the family in small letters when left out.
    pub name: Option<String>,
    /// The container that is the app; the likeliest when left out.
    pub app: Option<String>,
    /// What the definition's file is called.
    pub file: String,
}

/// The files of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The assembly's name.
    pub name: String,
    /// `assemblies/NAME.yaml`.
    pub manifest: String,
    /// `assemblies/components/NAME/component.yaml`, by name.
    pub components: Vec<(String, String)>,
    /// `assemblies/values/NAME.yaml`.
    pub values: String,
    /// What the rules say about it; errors were lowered to warnings in the manifest.
    pub findings: Vec<Finding>,
}

/// Why there is nothing to import.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// It cannot run on Fargate; the reasons, by field.
    NotFargate(Vec<String>),
    /// What was wished for does not fit the definition.
    Wish(String),
    /// What came of it is not the same; JSON pointers or findings that say where.
    NotTheSame(Vec<String>),
}

/// Writes the definition as an assembly.
pub fn import(
    definition: &TaskDefinition,
    catalog: &Catalog,
    wishes: &Wishes,
) -> Result<Imported, Refused> {
    let reasons = fargate::refusals(definition);
    if !reasons.is_empty() {
        return Err(Refused::NotFargate(reasons));
    }

    // Components that are known say more in fewer words, if they fit; a description of one's own fits always.
    let plain = attempt(definition, catalog, wishes, draft::Known::Left);
    let known = attempt(definition, catalog, wishes, draft::Known::Taken);
    match (known, plain) {
        (Ok(known), Ok(plain)) if known.length() <= plain.length() => Ok(known),
        (Ok(known), Err(_)) => Ok(known),
        (_, plain) => plain,
    }
}

/// A definition as YAML, as a person would write it.
pub fn yaml(definition: &TaskDefinition) -> String {
    let fields = serde_json::json!(definition);
    let fields = fields.as_object().into_iter().flatten();
    fields
        .map(|(key, value)| yaml::entry(key, value, 0))
        .collect()
}

impl Imported {
    fn length(&self) -> usize {
        let components = self.components.iter().map(|(_, text)| text.len());
        self.manifest.len() + components.sum::<usize>()
    }
}

fn attempt(
    definition: &TaskDefinition,
    catalog: &Catalog,
    wishes: &Wishes,
    known: draft::Known,
) -> Result<Imported, Refused> {
    let local = local::Local::of(definition);
    let mut draft =
        draft::Draft::of(definition, catalog, wishes, &local, known).map_err(Refused::Wish)?;
    let catalog = draft.catalog(catalog);
    let values = Values::default()
        .with("account", local.account())
        .with("region", local.region());

    draft.settle(definition, &catalog, &values).map_err(told)?;
    let findings = hold(&mut draft, definition, &catalog, &values)?;
    Ok(Imported {
        manifest: draft.manifest(),
        name: draft.name,
        components: draft.components,
        values: local.values(&wishes.file),
        findings,
    })
}

/// Plans the draft; errors of the original become warnings with a reason, and the result must be it.
fn hold(
    draft: &mut draft::Draft,
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
) -> Result<Vec<Finding>, Refused> {
    // Each stage may have errors that hide those of the next.
    for _ in 0..STAGES {
        let source = Source::new(format!("{}.yaml", draft.name), draft.manifest());
        match crate::plan(&source, catalog, values) {
            Ok(plan) => {
                let changes = difference(&normalise(definition), &normalise(plan.definition()));
                if changes.is_empty() {
                    return Ok(plan.warnings().to_vec());
                }
                let pointers = changes.into_iter().map(|change| change.pointer);
                return Err(Refused::NotTheSame(pointers.collect()));
            }
            Err(findings) => {
                let errors = findings
                    .iter()
                    .filter(|one| one.severity == Severity::Error);
                let errors: Vec<Finding> = errors.cloned().collect();

                if !draft.lower(&errors) {
                    return Err(told(errors));
                }
            }
        }
    }

    Err(Refused::NotTheSame(vec![
        "the rules contradict each other".to_owned(),
    ]))
}

const STAGES: usize = 6;

fn told(findings: Vec<Finding>) -> Refused {
    let line = |place: &Place| match place {
        Place::Text { excerpt_line, .. } => format!(" (`{}`)", excerpt_line.trim()),
        _ => String::new(),
    };
    let told = findings
        .iter()
        .map(|one| format!("{}: {}{}", one.rule, one.message, line(&one.place)));
    Refused::NotTheSame(told.collect())
}
