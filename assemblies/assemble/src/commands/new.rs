//! `assemble new`: starters that pass `check`. What is there already is never written over.
//!
//! | file | makes |
//! |---|---|
//! | `assembly` | a manifest |
//! | `component` | a component: a crate of this workspace, or the description of an image |
//! | `templates/` | their texts; `@word@` is filled in |

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

mod assembly;
mod component;

/// What to make.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

/// The things that can be made.
#[derive(Debug, Subcommand)]
enum What {
    /// A manifest in `assemblies/`.
    Assembly(assembly::Arguments),
    /// A component: a crate under `apps/` or `sidecars/`, or with `--image` a description of one.
    Component(component::Arguments),
}

/// Makes it, and says what to do next.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    match &arguments.what {
        What::Assembly(arguments) => assembly::run(arguments, project, talk),
        What::Component(arguments) => component::run(arguments, project, talk),
    }
}

/// A file to be written, from the project's folder.
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

/// Writes all of them, or none when one is there already.
fn write(starters: &[Starter], project: &Project, talk: &Talk) -> Result<(), Failure> {
    let there = |starter: &&Starter| project.root().join(&starter.path).exists();
    if let Some(starter) = starters.iter().find(there) {
        return Err(Failure::Usage(format!(
            "`{}` is there already, and nothing was written; choose another name or take it away",
            starter.path.display()
        )));
    }

    for starter in starters {
        create(&project.root().join(&starter.path), &starter.text)?;
        talk.say(&format!("wrote {}", starter.path.display()));
    }

    Ok(())
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let failure = |source| Failure::File {
        act: "write",
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failure)?;
    }
    fs::write(path, text).map_err(failure)
}

/// Fills the `@word@` of a template.
fn filled(template: &str, words: &[(&str, &str)]) -> String {
    let fill =
        |text: String, (word, value): &(&str, &str)| text.replace(&format!("@{word}@"), value);
    words.iter().fold(template.to_owned(), fill)
}

/// Refuses what no component and no assembly can be called, before anything is written.
fn check_name(name: &str) -> Result<(), Failure> {
    if ::assembly::manifest::is_name(name) {
        return Ok(());
    }

    let letters = name.to_lowercase();
    let letters = letters
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let meant: String = letters.collect();
    let meant = meant.trim_matches(|c: char| c == '-' || c.is_ascii_digit());
    let hint = if ::assembly::manifest::is_name(meant) {
        format!("; write `{meant}`")
    } else {
        String::new()
    };

    Err(Failure::Usage(format!(
        "`{name}` is no name: small letters, digits and `-`, a letter first, at most 54{hint}"
    )))
}
