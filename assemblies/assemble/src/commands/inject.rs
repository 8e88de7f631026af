//! `assemble inject`: a component into a task definition that is there already.

use std::fs;
use std::path::{Path, PathBuf};

use assembly::inject::{Injected, Refused, Request, inject, remove};
use clap::Args;
use serde_json::Value;
use task_definition::source::Source;
use task_definition::{
    Change, Color, Finding, Severity, TaskDefinition, check, difference, normalise, read,
};

use crate::cli::{ValueArguments, pair};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;
use crate::unified;

/// What to put where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The component: a proxy, which comes in front of the app, or a sidecar, which comes beside it.
    #[arg(value_name = "COMPONENT")]
    component: String,
    /// The task definition, JSON or YAML: as it is registered, or as `describe-task-definition` answers.
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    /// The container it is for; the likeliest when left out.
    #[arg(long, value_name = "CONTAINER")]
    app: Option<String>,
    /// The port on which that container serves, where it maps none.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// A setting of the component. What was set before and is not set again stays.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A secret setting of the component: the ARN of a secret or parameter.
    #[arg(long, value_name = "NAME=ARN", value_parser = pair)]
    secret: Vec<(String, String)>,
    /// Another image than the component's.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Takes it out again.
    #[arg(long, conflicts_with_all = ["app", "port", "set", "secret", "image"])]
    remove: bool,
    /// Writes the result into the file it was read from.
    #[arg(long, conflicts_with = "out")]
    write: bool,
    /// Writes the result into this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    values: ValueArguments,
}

/// Prints the difference; writes only what breaks no rule that was not broken before.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let source = project.source(&arguments.into)?;
    let before = read(&source).map_err(Failure::Findings)?.definition;
    let injected = injected(arguments, project, &before)?;
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

    let target = arguments.out.as_ref().unwrap_or(&arguments.into);
    talk.data(&unified::diff(
        &source.name,
        &text(&before, target),
        &text(after, target),
    ));

    let changes = difference(&normalise(&before), &normalise(after));
    for change in &changes {
        talk.say(&told(change));
    }

    // Who sees no change has seen the notes when it was made.
    for note in injected.notes.iter().filter(|_| !changes.is_empty()) {
        talk.say(&format!("note: {note}"));
    }

    let known = findings(&before, target, &text);
    let (new, old): (Vec<Finding>, Vec<Finding>) = findings(after, target, &text)
        .into_iter()
        .partition(|one| !known.iter().any(|known| same(known, one)));

    for finding in new.iter().filter(|one| one.severity == Severity::Warning) {
        talk.say(finding.render(Color::No).trim_end());
    }
    if !old.is_empty() {
        talk.say(&format!(
            "{} of before stay; see `assemble check`",
            crate::failure::count(old.len())
        ));
    }

    let errors = new
        .into_iter()
        .filter(|one| one.severity == Severity::Error);
    let errors: Vec<Finding> = errors.collect();

    if !errors.is_empty() {
        return Err(Failure::Findings(errors));
    }
    if changes.is_empty() && arguments.out.is_none() {
        talk.say("no change");
    } else if arguments.write || arguments.out.is_some() {
        write(target, &text(after, target))?;
        talk.say(&format!("wrote {}", target.display()));
    } else {
        talk.say("nothing is written; --write or --out FILE writes it");
    }

    Ok(0)
}

fn injected(
    arguments: &Arguments,
    project: &Project,
    before: &TaskDefinition,
) -> Result<Injected, Failure> {
    let catalog = project.catalog()?;
    let values = project.values(&arguments.values, "example")?;
    let request = Request {
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
        Refused::Because(why) => Failure::Usage(why),
        Refused::Findings(findings) => Failure::Findings(findings),
    })
}

/// All rules over the text as it would be written, so that a finding shows the line.
fn findings(
    definition: &TaskDefinition,
    path: &Path,
    text: &impl Fn(&TaskDefinition, &Path) -> String,
) -> Vec<Finding> {
    let source = Source::new(path.display().to_string(), text(definition, path));
    read(&source).map_or_else(|findings| findings, |located| check(&located))
}

/// Lines move; what is said does not.
fn same(one: &Finding, other: &Finding) -> bool {
    one.rule == other.rule && one.message == other.message
}

/// `/cpu: "256" becomes "512"`.
fn told(change: &Change) -> String {
    let short = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > LONGEST {
            text.chars().take(LONGEST).collect::<String>() + "…"
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
        (None, Some(after)) => format!("{}: new, {}", change.pointer, short(after)),
        (Some(before), None) => format!("{}: gone, was {}", change.pointer, short(before)),
        (None, None) => change.pointer.clone(),
    }
}

const LONGEST: usize = 60;

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|source| Failure::File {
        act: "write",
        path: path.to_owned(),
        source,
    })
}
