//! `assemble check`: all findings of manifests and task definitions.

use std::path::{Path, PathBuf};

use assembly::Catalog;
use clap::{Args, ValueEnum};
use serde_json::json;
use task_definition::source::{self, Source};
use task_definition::{Finding, Place, Severity};

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Manifests and task definitions, YAML or JSON; all assemblies of the project when left out.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the findings.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, a caret, a hint.
    Text,
    /// For programs: a list of objects.
    Json,
}

/// Checks, prints, and answers 1 when something is an error.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let catalog = project.catalog()?;
    let mut findings = Vec::new();
    for file in files(arguments, project)? {
        let source = project.source(&file)?;
        for finding in check(&source, arguments, project, &catalog)? {
            // Several assemblies may name the same broken component.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    match arguments.format {
        Format::Text => print_text(&findings, talk),
        Format::Json => print_json(&findings, talk),
    }
    talk.total(&findings);
    Ok(u8::from(
        findings
            .iter()
            .any(|finding| finding.severity == Severity::Error),
    ))
}

fn files(arguments: &Arguments, project: &Project) -> Result<Vec<PathBuf>, Failure> {
    if !arguments.files.is_empty() {
        return Ok(arguments.files.clone());
    }
    let folder = project.root().join("assemblies");
    let names = project.assemblies()?;
    Ok(names
        .iter()
        .map(|name| folder.join(format!("{name}.yaml")))
        .collect())
}

fn check(
    source: &Source,
    arguments: &Arguments,
    project: &Project,
    catalog: &Catalog,
) -> Result<Vec<Finding>, Failure> {
    if is_task_definition(source) {
        return Ok(match task_definition::read(source) {
            Ok(located) => task_definition::check(&located),
            Err(findings) => findings,
        });
    }
    let values = project.values(&arguments.values, "example")?;
    Ok(match assembly::plan(source, catalog, &values) {
        Ok(plan) => plan.warnings().to_vec(),
        Err(findings) => findings,
    })
}

/// A definition has containers or a family; a manifest has neither.
pub(crate) fn is_task_definition(source: &Source) -> bool {
    let is_json = Path::new(&source.name)
        .extension()
        .is_some_and(|end| end == "json");
    source::parse(source).map_or(is_json, |node| {
        node.get("containerDefinitions").is_some() || node.get("family").is_some()
    })
}

fn print_text(findings: &[Finding], talk: &Talk) {
    for finding in findings {
        talk.data(&format!("{}\n\n", finding.render(talk.color()).trim_end()));
    }
}

fn print_json(findings: &[Finding], talk: &Talk) {
    let list: Vec<_> = findings.iter().map(to_json).collect();
    talk.data(&format!("{:#}\n", json!(list)));
}

fn to_json(finding: &Finding) -> serde_json::Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut object = json!({
        "rule": finding.rule,
        "severity": severity,
        "message": finding.message,
        "hint": finding.hint,
        "pointer": finding.pointer,
    });
    if let Some((file, line, column)) = position(&finding.place) {
        object["file"] = json!(file);
        object["line"] = json!(line);
        object["column"] = json!(column);
    }
    object
}

/// The written line that a finding goes back to.
fn position(place: &Place) -> Option<(&str, usize, usize)> {
    match place {
        Place::Text {
            file, line, column, ..
        } => Some((file, *line, *column)),
        Place::Derived { from, .. } => position(from.as_deref()?),
        Place::Pointer(_) => None,
    }
}
