//! `assemble import`: somebody's task definition as a manifest, components and values.

use std::fs;
use std::path::{Path, PathBuf};

use assembly::import::{Imported, Refused, Wishes, import};
use clap::Args;
use task_definition::Color;

use crate::failure::{Failure, count};
use crate::project::Project;
use crate::talk::Talk;

/// What to import, and where to.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A task definition, JSON or YAML: as it is registered, or as `describe-task-definition` answers.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The assembly's name; the family in small letters when left out.
    #[arg(long)]
    name: Option<String>,
    /// The container that is the app; the likeliest when left out.
    #[arg(long, value_name = "CONTAINER")]
    app: Option<String>,
    /// The folder that manifests, `components/` and `values/` are written into; `assemblies/` when left
    /// out.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Writes over files that are there and say something else.
    #[arg(long)]
    force: bool,
}

/// Writes everything or nothing; the paths are data, the findings talk.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let source = project.source(&arguments.file)?;
    let located = task_definition::read(&source).map_err(Failure::Findings)?;
    let wishes = Wishes {
        name: arguments.name.clone(),
        app: arguments.app.clone(),
        file: source.name.clone(),
    };
    let imported = import(&located.definition, &project.catalog()?, &wishes)
        .map_err(|refused| Failure::Usage(told(&refused, &source.name)))?;

    let usual = project.root().join("assemblies");
    let out = arguments.out.as_ref().unwrap_or(&usual);
    let files = files(&imported, out);
    if !arguments.force {
        nothing_is_lost(&files)?;
    }

    for (path, text) in &files {
        write(path, text)?;
        talk.data(&format!("{}\n", path.display()));
    }

    for finding in &imported.findings {
        talk.say(finding.render(Color::No).trim_end());
    }
    talk.say(&format!(
        "{}; `assemble render {name} --values {name}` gives the same task definition",
        count(imported.findings.len()),
        name = imported.name
    ));

    Ok(0)
}

fn told(refused: &Refused, file: &str) -> String {
    match refused {
        Refused::NotFargate(reasons) => {
            let reasons = reasons.join("\n  ");
            format!("`{file}` is not for Fargate:\n  {reasons}")
        }
        Refused::Wish(what) => what.clone(),
        Refused::NotTheSame(where_) => format!(
            "`{file}` cannot be written as an assembly that gives the same again:\n  {}",
            where_.join("\n  ")
        ),
    }
}

fn files<'i>(imported: &'i Imported, out: &Path) -> Vec<(PathBuf, &'i str)> {
    let name = format!("{}.yaml", imported.name);
    let mut files = vec![
        (out.join(&name), imported.manifest.as_str()),
        (out.join("values").join(&name), imported.values.as_str()),
    ];
    files.extend(imported.components.iter().map(|(name, text)| {
        let folder = out.join("components").join(name);
        (folder.join("component.yaml"), text.as_str())
    }));
    files
}

/// Files that say something else already are told together, and none is written.
fn nothing_is_lost(files: &[(PathBuf, &str)]) -> Result<(), Failure> {
    let differs = |path: &Path, text: &str| match fs::read(path) {
        Ok(there) => there != text.as_bytes(),
        Err(_) => path.exists(),
    };
    let there = files.iter().filter(|(path, text)| differs(path, text));
    let there: Vec<String> = there.map(|(path, _)| path.display().to_string()).collect();

    if there.is_empty() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "these files are there and say something else; choose another --name or --out, or --force:\n  {}",
        there.join("\n  ")
    )))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
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
