//! Reads what to run: an assembly, or a task definition in any form that `check` reads.

use std::collections::BTreeSet;
use std::path::Path;

use diagnostics::source::Source;
use diagnostics::{Color, Finding, Severity};
use ecs_rules::inputs::{
    DEFINITION_FORM, Document, DocumentKind, ParsedInput, check_input_with, form_of, parse_input,
    read_input,
};
use local::Target;
use task_definition::{TaskDefinition, UNKNOWN_FIELD, Volume};

use super::{Arguments, Output};
use crate::documents;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::source_location;

/// Reads the task definition or assembly given as argument.
pub(super) fn find(
    arguments: &Arguments,
    project: &Project,
    output: &Output,
) -> Result<Target, CliError> {
    let path = Path::new(&arguments.what);
    let is_stdin = arguments.what == documents::STDIN;
    if is_stdin || path.is_file() {
        let source = documents::read(path, project)?;
        if let Some(failure) = documents::foreign(&source) {
            return Err(failure);
        }
        if is_stdin || documents::is_document(&source) {
            return from_document(&source, project, output);
        }
    }

    let plan = project.plan(&arguments.what, &arguments.values, "local")?;
    for warning in plan.warnings() {
        output.ui.message(warning.render(Color::No).trim_end());
    }

    let values = project.values(&arguments.values, "local")?;
    Ok(Target::from_plan(&plan, values.get("region")))
}

/// Takes the task definition of a document in any form.
fn from_document(source: &Source, project: &Project, output: &Output) -> Result<Target, CliError> {
    let form = parse_input(source).ok().as_ref().and_then(form_of);
    let input = read_input(source);
    check_readable(&input, form, output)?;
    let mut definition = only_definition(&input, source, form)?;

    let catalog = project.catalog()?;
    let findings = check_input_with(&input, &[], &catalog.image_facts());
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    let errors = errors.count();
    for note in notes(&input, source, form) {
        output.ui.message(&note);
    }
    if form == Some(CONTAINERS) {
        complete(&mut definition, source);
    }
    Ok(Target::from_definition(
        definition,
        errors,
        &source.name,
        &catalog,
        output,
    )?)
}

/// Refuses a document with values that cannot be read. Terraform drops unknown fields of containers before it registers
/// them, so in a list of containers these are messages.
fn check_readable(
    input: &ParsedInput,
    form: Option<&str>,
    output: &Output,
) -> Result<(), CliError> {
    let is_dropped =
        |finding: &Finding| form == Some(CONTAINERS) && finding.rule == UNKNOWN_FIELD.id;
    if input.findings.iter().all(is_dropped) {
        for finding in &input.findings {
            output.ui.message(finding.render(Color::No).trim_end());
        }
        return Ok(());
    }
    Err(CliError::Findings(input.findings.clone()))
}

fn only_definition(
    input: &ParsedInput,
    source: &Source,
    form: Option<&str>,
) -> Result<TaskDefinition, CliError> {
    let definitions = input
        .documents()
        .iter()
        .filter_map(|document| match &document.kind {
            DocumentKind::Definition(located) => Some(&located.definition),
            DocumentKind::Launch(..) => None,
        });
    let definitions: Vec<&TaskDefinition> = definitions.collect();
    match definitions.as_slice() {
        [definition] => Ok((*definition).clone()),
        [] => {
            let form = form.unwrap_or("a file");
            Err(CliError::Usage(format!(
                "`{}` is {form} without a task definition to run; pass the definition",
                source.name
            )))
        }
        several => {
            let families: Vec<&str> = several.iter().map(|other| other.family.as_str()).collect();
            Err(CliError::Usage(format!(
                "`{}` has several task definitions ({}); pass a file with one",
                source.name,
                families.join(", ")
            )))
        }
    }
}

/// Returns what a run of this form does not do as the file says.
fn notes(input: &ParsedInput, source: &Source, form: Option<&str>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(form) = form.filter(|form| *form != DEFINITION_FORM) {
        notes.push(format!("`{}` is {form}", source.name));
    }
    notes.extend(input.not_evaluated.iter().map(|part| {
        let place =
            source_location(&part.location).map(|(file, line, _)| format!("{file}:{line}: "));
        format!("{}{}", place.unwrap_or_default(), part.message)
    }));
    if input.variants.len() > 1 {
        let which = match input.converted_from {
            Some(_) => "the settings without those of an environment",
            None => "the defaults of its parameters",
        };
        notes.push(format!("`{}` runs with {which}", source.name));
    }

    let definitions = input
        .documents()
        .iter()
        .filter(|document| matches!(document.kind, DocumentKind::Definition(_)));
    let examples: BTreeSet<&str> = definitions
        .flat_map(Document::example_values)
        // The roles of a task that runs here are in `--credentials`.
        .filter(|pointer| !pointer.ends_with("RoleArn"))
        .collect();
    if !examples.is_empty() {
        let more = if examples.len() > MAX_NAMES {
            ", …"
        } else {
            ""
        };
        let names: Vec<&str> = examples.into_iter().take(MAX_NAMES).collect();
        notes.push(format!(
            "the file does not have the values of {}{more}; the run has examples in their places (set variables with \
             `--env`)",
            names.join(", ")
        ));
    }
    notes
}

/// Adds what Terraform has beside a list of containers: a family, and the volumes that the containers mount.
fn complete(definition: &mut TaskDefinition, source: &Source) {
    if definition.family.is_empty() {
        let stem = Path::new(&source.name).file_stem().unwrap_or_default();
        definition.family = stem.to_string_lossy().into_owned();
    }
    let mounted = definition
        .container_definitions
        .iter()
        .flat_map(|container| &container.mount_points)
        .map(|point| point.source_volume.clone());
    let mounted: BTreeSet<String> = mounted.collect();
    for name in mounted {
        if definition.volumes.iter().all(|volume| volume.name != name) {
            definition.volumes.push(Volume {
                name,
                ..Volume::default()
            });
        }
    }
}

const CONTAINERS: &str = "a list of containers";
/// The unknown values that a message names.
const MAX_NAMES: usize = 5;
