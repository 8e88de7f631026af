//! Converts a task definition into an assembly: a manifest, and a `component.yaml` for each container without a
//! component in the catalog. The assembly renders to the same definition.
//!
//! ```text
//! definition ─fargate▶ supported? ─roles▶ roles ─draft▶ manifest ─derive▶ derived definition
//!                                                 ▲                        │
//!                                                 └─ overrides, patch ◀─overlay_diff
//! ```
//!
//! The manifest overrides a derived field only where the original differs, with a comment. The result is planned and
//! compared with the original before it is returned, so an import never succeeds with a different definition.

use diagnostics::source::Source;
use diagnostics::{Finding, Location, Severity};
use task_definition::{TaskDefinition, diff, normalise};

use crate::component::Catalog;
use crate::values::Values;
use crate::yaml;

pub(crate) mod account_context;
mod describe;
pub(crate) mod draft;
mod fargate;
mod overlay_diff;
pub(crate) mod roles;

/// The options of an import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The name of the assembly; the default is the family in lower case.
    pub name: Option<String>,
    /// The container that is the app; the default is the most likely one.
    pub app: Option<String>,
    /// The file name of the definition.
    pub file: String,
}

/// The files of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedAssembly {
    /// The name of the assembly.
    pub name: String,
    /// `assemblies/NAME.yaml`.
    pub manifest: String,
    /// `assemblies/components/NAME/component.yaml`, by name.
    pub components: Vec<(String, String)>,
    /// `assemblies/values/NAME.yaml`.
    pub values: String,
    /// The findings of the rules; the manifest lowers errors to warnings.
    pub findings: Vec<Finding>,
}

/// The error of an import.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportError {
    /// The definition cannot run on Fargate; the reasons, by field.
    NotFargate(Vec<String>),
    /// An option does not fit the definition.
    InvalidOption(String),
    /// The assembly would render to another definition; the JSON pointers or findings.
    RoundTripMismatch(Vec<String>),
}

/// Converts the definition into an assembly.
pub fn import(
    definition: &TaskDefinition,
    catalog: &Catalog,
    options: &ImportOptions,
) -> Result<ImportedAssembly, ImportError> {
    let reasons = fargate::incompatibilities(definition);
    if !reasons.is_empty() {
        return Err(ImportError::NotFargate(reasons));
    }

    // Components of the catalog usually give a shorter manifest, if they fit; generated descriptions always fit.
    let generated = attempt(definition, catalog, options, draft::CatalogMatch::Ignore);
    let reused = attempt(definition, catalog, options, draft::CatalogMatch::Reuse);
    match (reused, generated) {
        (Ok(reused), Ok(generated)) if reused.length() <= generated.length() => Ok(reused),
        (Ok(reused), Err(_)) => Ok(reused),
        (_, generated) => generated,
    }
}

/// Formats a definition as compact YAML.
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
    catalog_match: draft::CatalogMatch,
) -> Result<ImportedAssembly, ImportError> {
    let context = account_context::AccountContext::from_definition(definition);
    let mut draft = draft::Draft::new(definition, catalog, options, &context, catalog_match)
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

/// Plans the draft and compares the result with the original. Errors of the original become warnings with a reason.
fn verify(
    draft: &mut draft::Draft,
    definition: &TaskDefinition,
    catalog: &Catalog,
    values: &Values,
) -> Result<Vec<Finding>, ImportError> {
    // Errors of one stage can hide those of the next, so lowering them may take several rounds.
    for _ in 0..MAX_ROUNDS {
        let source = Source::new(format!("{}.yaml", draft.name), draft.manifest());
        match crate::plan(&source, catalog, values) {
            Ok(plan) => {
                // Compare normal forms: ECS treats them as the same definition.
                let changes = diff(&normalise(definition), &normalise(plan.definition()));
                if changes.is_empty() {
                    return Ok(plan.warnings().to_vec());
                }
                let pointers = changes.into_iter().map(|change| change.pointer);
                return Err(ImportError::RoundTripMismatch(pointers.collect()));
            }
            Err(findings) => {
                let errors = findings
                    .iter()
                    .filter(|finding| finding.severity == Severity::Error);
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

const MAX_ROUNDS: usize = 6;

fn to_mismatch(findings: Vec<Finding>) -> ImportError {
    let line = |location: &Location| match location {
        Location::Text { excerpt_line, .. } => format!(" (`{}`)", excerpt_line.trim()),
        _ => String::new(),
    };
    let lines = findings.iter().map(|finding| {
        let line = line(&finding.location);
        format!("{}: {}{line}", finding.rule, finding.message)
    });
    ImportError::RoundTripMismatch(lines.collect())
}
