//! `assemble new`: creates assemblies and components that pass `check`. Never overwrites a file.
//!
//! | file | creates |
//! |---|---|
//! | `assembly` | a manifest |
//! | `component` | a component: a crate of this workspace, or the description of an image |
//! | `templates/` | the templates; `@word@` is replaced |

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod assembly;
mod component;

/// Arguments of `new`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// What can be created.
#[derive(Debug, Subcommand)]
enum What {
    /// Create a manifest in `assemblies/`.
    Assembly(assembly::Arguments),
    /// Create a component: a crate in `apps/` or `sidecars/`, or with `--image` a description of an image.
    Component(component::Arguments),
}

/// Creates the files and prints the next steps.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    match &arguments.what {
        What::Assembly(arguments) => assembly::run(arguments, project, ui),
        What::Component(arguments) => component::run(arguments, project, ui),
    }
}

/// A file to create; its path is relative to the project.
struct Starter {
    path: PathBuf,
    text: String,
}

impl Starter {
    fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// Writes all files, or none if one exists.
fn write(starters: &[Starter], project: &Project, ui: &Ui) -> Result<(), CliError> {
    let exists = |starter: &&Starter| project.root().join(&starter.path).exists();
    if let Some(starter) = starters.iter().find(exists) {
        return Err(CliError::Usage(format!(
            "`{}` already exists and nothing was written; choose another name or delete it",
            starter.path.display()
        )));
    }

    for starter in starters {
        create(&project.root().join(&starter.path), &starter.text)?;
        ui.message(&format!("wrote {}", starter.path.display()));
    }

    Ok(())
}

fn create(path: &Path, text: &str) -> Result<(), CliError> {
    let failure = |source| CliError::File {
        act: "write",
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failure)?;
    }
    fs::write(path, text).map_err(failure)
}

/// Replaces each `@word@` of a template.
fn fill_template(template: &str, replacements: &[(&str, &str)]) -> String {
    let fill =
        |text: String, (word, value): &(&str, &str)| text.replace(&format!("@{word}@"), value);
    replacements.iter().fold(template.to_owned(), fill)
}

/// Rejects an invalid name before anything is written.
fn check_name(name: &str) -> Result<(), CliError> {
    if ::assembly::manifest::is_name(name) {
        return Ok(());
    }

    // Suggest the nearest valid name: lower case, with `-` for anything else.
    let spelled: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let suggestion = spelled.trim_matches(|c: char| c == '-' || c.is_ascii_digit());
    let hint = if ::assembly::manifest::is_name(suggestion) {
        format!("; use `{suggestion}`")
    } else {
        String::new()
    };

    Err(CliError::Usage(format!(
        "`{name}` is not a valid name: use lower-case letters, digits and `-`, start with a letter, at most 54 characters{hint}"
    )))
}
