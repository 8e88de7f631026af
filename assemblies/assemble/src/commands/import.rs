//! `assemble import`: converts a task definition into a manifest, components and values.

use std::fs;
use std::path::{Path, PathBuf};

use assembly::import::{ImportError, ImportOptions, ImportedAssembly, import};
use clap::Args;
use diagnostics::Color;

use crate::documents::require_definition;
use crate::error::{CliError, format_findings};
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Task definition, JSON or YAML: as registered, or as `describe-task-definition` returns it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the assembly [default: the family in lower case].
    #[arg(long)]
    name: Option<String>,
    /// Container to use as the app [default: guessed].
    #[arg(long, value_name = "CONTAINER")]
    app: Option<String>,
    /// Directory to write manifest, `components/` and `values/` into [default: `assemblies/`].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Overwrite existing files.
    #[arg(long)]
    force: bool,
}

/// Writes all files or none. Paths are results, findings are messages.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let source = project.source(&arguments.file)?;
    require_definition(&source, "import")?;
    let located = task_definition::read(&source).map_err(CliError::Findings)?;
    let options = ImportOptions {
        name: arguments.name.clone(),
        app: arguments.app.clone(),
        file: source.name.clone(),
    };
    let imported = import(&located.definition, &project.catalog()?, &options)
        .map_err(|refused| CliError::Usage(refusal_message(&refused, &source.name)))?;

    let default_folder = project.root().join("assemblies");
    let out = arguments.output.as_ref().unwrap_or(&default_folder);
    let files = files(&imported, out);
    // Nothing is written unless everything can be.
    if !arguments.force {
        check_overwrites(&files)?;
    }

    for (path, text) in &files {
        write(path, text)?;
        ui.data(&format!("{}\n", path.display()));
    }

    for finding in &imported.findings {
        ui.message(finding.render(Color::No).trim_end());
    }
    ui.message(&format!(
        "{}; `assemble render {name} --values {name}` writes the same task definition",
        format_findings(imported.findings.len()),
        name = imported.name
    ));

    Ok(0)
}

fn refusal_message(refused: &ImportError, file: &str) -> String {
    match refused {
        ImportError::NotFargate(reasons) => {
            let reasons = reasons.join("\n  ");
            format!("`{file}` is not for Fargate:\n  {reasons}")
        }
        ImportError::InvalidOption(what) => what.clone(),
        ImportError::RoundTripMismatch(pointers) => format!(
            "`{file}` cannot be converted into an assembly that renders to the same task definition:\n  {}",
            pointers.join("\n  ")
        ),
    }
}

fn files<'i>(imported: &'i ImportedAssembly, out: &Path) -> Vec<(PathBuf, &'i str)> {
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

/// Returns an error that lists every file with other content. Equal files are written again unchanged.
fn check_overwrites(files: &[(PathBuf, &str)]) -> Result<(), CliError> {
    let differs = |path: &Path, text: &str| match fs::read(path) {
        Ok(existing) => existing != text.as_bytes(),
        // Something unreadable, a directory for example, is in the way too.
        Err(_) => path.exists(),
    };
    let conflicts: Vec<String> = files
        .iter()
        .filter(|(path, text)| differs(path, text))
        .map(|(path, _)| path.display().to_string())
        .collect();

    if conflicts.is_empty() {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "these files exist with other content; choose another --name or --output, or pass --force:\n  {}",
        conflicts.join("\n  ")
    )))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
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
