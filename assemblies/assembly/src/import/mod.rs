//! A task definition of anybody as an assembly: a manifest, and a `component.yaml` for each container
//! that no component describes yet. Rendered, it is the same definition again.
//!
//! ```text
//! definition ─fargate▶ can it be? ─roles▶ roles ─draft▶ manifest ─derive▶ what comes of it
//!                                                   ▲                            │
//!                                                   └── overrides, patch ◀─overlay_diff
//! ```
//!
//! What is derived stays derived; only where the original says otherwise the manifest overrides it, with
//! a comment. The result is planned and compared before it is given out, so it cannot be almost right.

use task_definition::source::Source;
use task_definition::{Finding, Place, Severity, TaskDefinition, difference, normalise};

use crate::component::Catalog;
use crate::values::Values;

pub(crate) mod account_context;
mod describe;
pub(crate) mod draft;
mod fargate;
mod overlay_diff;
pub(crate) mod roles;
pub(crate) mod yaml;

/// What is said about an import beside the definition.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The assembly's name; the family in small letters when left out.
    pub name: Option<String>,
    /// The container that is the app; the likeliest when left out.
    pub app: Option<String>,
    /// What the definition's file is called.
    pub file: String,
}

/// The files of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedAssembly {
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
pub enum ImportError {
    /// It cannot run on Fargate; the reasons, by field.
    NotFargate(Vec<String>),
    /// What was wished for does not fit the definition.
    InvalidOption(String),
    /// What came of it is not the same; JSON pointers or findings that say where.
    RoundTripMismatch(Vec<String>),
}

/// Writes the definition as an assembly.
pub fn import(
    definition: &TaskDefinition,
    catalog: &Catalog,
    options: &ImportOptions,
) -> Result<ImportedAssembly, ImportError> {
    let reasons = fargate::refusals(definition);
    if !reasons.is_empty() {
        return Err(ImportError::NotFargate(reasons));
    }

    // Components that are known say more in fewer words, if they fit; a description of one's own fits always.
    let plain = attempt(definition, catalog, options, draft::CatalogMatch::Ignore);
    let known = attempt(definition, catalog, options, draft::CatalogMatch::Reuse);
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

impl ImportedAssembly {
    fn length(&self) -> usize {
        let components = self.components.iter().map(|(_, text)| text.len());
        self.manifest.len() + components.sum::<usize>()
    }
}

fn attempt(
    definition: &TaskDefinition,
    catalog: &Catalog,
    options: &ImportOptions,
    known: draft::CatalogMatch,
) -> Result<ImportedAssembly, ImportError> {
    let context = account_context::AccountContext::from_definition(definition);
    let mut draft = draft::Draft::new(definition, catalog, options, &context, known)
        .map_err(ImportError::InvalidOption)?;
    let catalog = draft.catalog(catalog);
    let values = Values::default()
        .with("account", context.account())
        .with("region", context.region());

    draft
        .reconcile(definition, &catalog, &values)
        .map_err(to_mismatch)?;
    let findings = verify(&mut draft, definition, &catalog, &values)?;
    Ok(ImportedAssembly {
        manifest: draft.manifest(),
        name: draft.name,
        components: draft.components,
        values: context.values_file(&options.file),
        findings,
    })
}

/// Plans the draft; errors of the original become warnings with a reason, and the result must be it.
fn verify(
    draft: &mut draft::Draft,
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
) -> Result<Vec<Finding>, ImportError> {
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
                return Err(ImportError::RoundTripMismatch(pointers.collect()));
            }
            Err(findings) => {
                let errors = findings
                    .iter()
                    .filter(|one| one.severity == Severity::Error);
                let errors: Vec<Finding> = errors.cloned().collect();

                if !draft.lower(&errors) {
                    return Err(to_mismatch(errors));
                }
            }
        }
    }

    Err(ImportError::RoundTripMismatch(vec![
        "the rules contradict each other".to_owned(),
    ]))
}

const STAGES: usize = 6;

fn to_mismatch(findings: Vec<Finding>) -> ImportError {
    let line = |place: &Place| match place {
        Place::Text { excerpt_line, .. } => format!(" (`{}`)", excerpt_line.trim()),
        _ => String::new(),
    };
    let told = findings
        .iter()
        .map(|one| format!("{}: {}{}", one.rule, one.message, line(&one.place)));
    ImportError::RoundTripMismatch(told.collect())
}
