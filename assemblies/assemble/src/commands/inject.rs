//! `assemble inject`: adds a component to an existing task definition.

use std::fs;
use std::path::{Path, PathBuf};

use assembly::inject::{InjectError, InjectRequest, Injection, inject, remove};
use clap::Args;
use diagnostics::source::Source;
use diagnostics::{Color, Finding, Severity};
use ecs_rules::{ImageFacts, check_with};
use serde_json::Value;
use task_definition::{Change, TaskDefinition, diff, edit_text, normalise, read};

use crate::arguments::{ValueArguments, pair};
use crate::documents::require_definition;
use crate::error::CliError;
use crate::project::Project;
use crate::udiff;
use crate::ui::Ui;

/// Arguments of `inject`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Component to add: a proxy in front of the app, or a sidecar next to it.
    #[arg(value_name = "COMPONENT")]
    component: String,
    /// Task definition, JSON or YAML: as registered, or as `describe-task-definition` returns it.
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    /// Container to use as the app [default: guessed].
    #[arg(long, value_name = "CONTAINER")]
    app: Option<String>,
    /// Port that the app listens on, if it has no port mapping.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Set a setting of the component. Settings of an earlier injection are kept.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Set a secret setting of the component: the ARN of a secret or parameter.
    #[arg(long, value_name = "NAME=ARN", value_parser = pair)]
    secret: Vec<(String, String)>,
    /// Image to use instead of the component's.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Remove a component injected earlier.
    #[arg(long, conflicts_with_all = ["app", "port", "set", "secret", "image"])]
    remove: bool,
    /// Write the result to the input file.
    #[arg(long, conflicts_with = "output")]
    write: bool,
    /// Write the result to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    values: ValueArguments,
}

/// Prints the difference. Writes only if no rule is broken that was not broken before.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let source = project.source(&arguments.into)?;
    require_definition(&source, "inject")?;
    let before = read(&source).map_err(CliError::Findings)?.definition;
    let injected = apply(arguments, project, &before)?;
    // The format follows the file that would be written, so that the diff compares like with like.
    let after = &injected.definition;
    let is_yaml = |path: &Path| {
        path.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    };
    let text = |definition: &TaskDefinition, path: &Path| {
        if is_yaml(path) {
            assembly::import::yaml(definition)
        } else {
            definition.to_json()
        }
    };

    let target = arguments.output.as_ref().unwrap_or(&arguments.into);
    // In the format of the input only the changes are written; everything else keeps its order and layout.
    let edited = (is_yaml(target) == is_yaml(&arguments.into))
        .then(|| edit_text(&source, &before, after))
        .flatten();
    let (old_text, new_text) = match edited {
        Some(edited) => (source.text.clone(), edited),
        None => (text(&before, target), text(after, target)),
    };
    ui.data(&udiff::diff(&source.name, &old_text, &new_text));

    let changes = diff(&normalise(&before), &normalise(after));
    for change in &changes {
        ui.message(&format_change(change));
    }

    // Without a change, the notes were printed when the component was injected.
    for note in injected.notes.iter().filter(|_| !changes.is_empty()) {
        ui.message(&format!("note: {note}"));
    }

    let images = project.catalog()?.image_facts();
    let existing = findings(&old_text, target, &images);
    report_findings(&existing, findings(&new_text, target, &images), ui)?;
    if changes.is_empty() && arguments.output.is_none() {
        ui.message("no change");
    } else if arguments.write || arguments.output.is_some() {
        write(target, &new_text)?;
        ui.message(&format!("wrote {}", target.display()));
    } else {
        ui.message("nothing written; pass --write or --output FILE to write it");
    }

    Ok(0)
}

/// Prints the new warnings. Fails with the new errors: the definition may break rules for other reasons.
fn report_findings(existing: &[Finding], after: Vec<Finding>, ui: &Ui) -> Result<(), CliError> {
    let is_known = |finding: &Finding| existing.iter().any(|known| is_same(known, finding));
    let (old, new): (Vec<Finding>, Vec<Finding>) = after.into_iter().partition(is_known);
    let (errors, warnings): (Vec<Finding>, Vec<Finding>) = new
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);

    for warning in warnings {
        ui.message(warning.render(Color::No).trim_end());
    }
    if !old.is_empty() {
        ui.message(&format!(
            "{} existed before; see `assemble check`",
            crate::error::format_findings(old.len())
        ));
    }

    if errors.is_empty() {
        Ok(())
    } else {
        Err(CliError::Findings(errors))
    }
}

fn apply(
    arguments: &Arguments,
    project: &Project,
    before: &TaskDefinition,
) -> Result<Injection, CliError> {
    let catalog = project.catalog()?;
    let values = project.values(&arguments.values, "example")?;
    let request = InjectRequest {
        component: arguments.component.clone(),
        app: arguments.app.clone(),
        port: arguments.port,
        settings: arguments.set.iter().cloned().collect(),
        secrets: arguments.secret.iter().cloned().collect(),
        image: arguments.image.clone(),
    };

    let injected = if arguments.remove {
        remove(before, &catalog, &values, &arguments.component)
    } else {
        inject(before, &catalog, &values, &request)
    };

    injected.map_err(|refused| match refused {
        InjectError::Invalid(why) => CliError::Usage(why),
        InjectError::Findings(findings) => CliError::Findings(findings),
    })
}

/// Checks the text as it would be written, so that a finding shows its line.
fn findings(text: &str, path: &Path, images: &ImageFacts) -> Vec<Finding> {
    let source = Source::new(path.display().to_string(), text);
    read(&source).map_or_else(|findings| findings, |located| check_with(&located, images))
}

/// Returns whether two findings are equal apart from their locations.
fn is_same(finding: &Finding, other: &Finding) -> bool {
    finding.rule == other.rule && finding.message == other.message
}

/// Formats a change: `/cpu: "256" becomes "512"`.
fn format_change(change: &Change) -> String {
    let short = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > MAX_VALUE_CHARS {
            text.chars().take(MAX_VALUE_CHARS).collect::<String>() + "…"
        } else {
            text
        }
    };

    match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            format!(
                "{}: {} becomes {}",
                change.pointer,
                short(before),
                short(after)
            )
        }
        (None, Some(after)) => format!("{}: added, {}", change.pointer, short(after)),
        (Some(before), None) => format!("{}: removed, was {}", change.pointer, short(before)),
        (None, None) => change.pointer.clone(),
    }
}

const MAX_VALUE_CHARS: usize = 60;

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    fs::write(path, text).map_err(|source| CliError::File {
        act: "write",
        path: path.to_owned(),
        source,
    })
}
