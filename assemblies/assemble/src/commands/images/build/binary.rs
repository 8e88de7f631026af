//! `--binary`: the image of a program that was built elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use registry::layout::BaseImage;
use registry::program::{Program, ProgramImage};

use super::existing::check_folder;
use super::facts::{Facts, folder};
use super::output::{BuiltImage, Variant, failure, write};
use super::{Settings, base, certificates, sbom, source_date};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// The program and its image.
#[derive(Debug, Args)]
#[command(next_help_heading = "An image of any program")]
pub(super) struct BinaryArguments {
    /// Make an image of this program; once for each platform.
    #[arg(long = "binary", id = "binary", value_name = "FILE", requires = "name")]
    programs: Vec<PathBuf>,
    /// Name of the image and of the program in it. Facts of a component or bundle of this name are used.
    #[arg(long, value_name = "NAME", requires = "binary")]
    name: Option<String>,
    /// Put the program on this image: an OCI layout, or an archive of `docker save` or `podman save`.
    #[arg(long, value_name = "FOLDER|ARCHIVE", requires = "binary")]
    base: Option<String>,
    /// Declare a TCP port. Repeatable.
    #[arg(long = "port", value_name = "PORT", requires = "binary", value_parser = clap::value_parser!(u16).range(1..))]
    ports: Vec<u16>,
    /// Add a writable directory, declared as a volume. Repeatable.
    #[arg(long = "folder", value_name = "PATH", requires = "binary", value_parser = parse_folder)]
    folders: Vec<String>,
    /// Add the public certificate authorities, for a program that reads them from /etc/ssl/certs.
    #[arg(long, requires = "binary")]
    ca_certificates: bool,
    /// Default arguments of the program.
    #[arg(last = true, value_name = "ARGUMENT", requires = "binary")]
    command: Vec<String>,
}

fn parse_folder(path: &str) -> Result<String, String> {
    let is_plain = |name: &str| {
        !matches!(name, "" | "." | "..")
            && !name.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control())
    };
    let names = path.strip_prefix('/').unwrap_or_default();
    if names.split('/').all(is_plain) {
        return Ok(path.to_owned());
    }
    Err("not a path inside an image; write an absolute one without spaces, `:` and `..`, such as /data".to_owned())
}

impl BinaryArguments {
    /// Returns whether a program was given.
    pub(super) fn is_used(&self) -> bool {
        !self.programs.is_empty()
    }

    /// Returns the facts of the component or bundle of this name, if there is one, with those of the command line.
    fn facts(&self, name: &str, project: &Project) -> Result<Facts, CliError> {
        let is_taken = |path: &&String| {
            let top = path.trim_start_matches('/').split('/').next();
            top.is_some_and(|top| top == name || matches!(top, "etc" | "licenses"))
        };
        if let Some(path) = self.folders.iter().find(is_taken) {
            return Err(CliError::Usage(format!(
                "`--folder {path}`: the image has the program or files of its own there; choose another folder"
            )));
        }
        let catalog = project.catalog()?;
        let mut facts = Facts::find(&catalog, name)?.unwrap_or_default();
        facts.ports.extend(&self.ports);
        facts
            .folders
            .extend(self.folders.iter().map(|path| folder(path)));
        if !self.command.is_empty() {
            facts.command.clone_from(&self.command);
        }
        Ok(facts)
    }
}

/// Builds the image of the given programs.
pub(super) fn build(
    arguments: &BinaryArguments,
    settings: &Settings,
    project: &Project,
    ui: &Ui,
) -> Result<BuiltImage, CliError> {
    let name = arguments.name.as_deref().unwrap_or_default();
    check_name(name)?;
    check_folder(settings, name)?;
    let facts = arguments.facts(name, project)?;
    let programs = read(arguments)?;

    // Next to the images and not in the temporary folder, which is often in memory: a base may be large.
    // No name of an image begins with a dot, so this is not the folder of another image.
    let scratch = format!(".{name}.base-{}", std::process::id());
    let scratch = settings.folder.join(scratch);
    let variants = programs
        .iter()
        .map(|program| {
            variant(
                program.clone(),
                arguments,
                (name, &facts),
                settings,
                &scratch,
            )
        })
        .collect::<Result<Vec<_>, _>>();
    let written = variants.and_then(|variants| write(settings, name, "latest", variants, ui));
    // An archive of a base is unpacked there; its layers have been copied.
    let _ = fs::remove_dir_all(&scratch);

    let sizes: Vec<u64> = programs.iter().map(Program::size).collect();
    Ok(written?.with_programs(&sizes, facts.budget))
}

/// Reads the programs, each for another platform, sorted by it.
fn read(arguments: &BinaryArguments) -> Result<Vec<Program>, CliError> {
    let mut programs = BTreeMap::new();
    for path in &arguments.programs {
        let content = read_program(path)?;
        let program = if arguments.base.is_some() {
            Program::read_for_base(content)
        } else {
            Program::read(content)
        };

        let program =
            program.map_err(|error| CliError::Usage(format!("`{}`: {error}", path.display())))?;
        let platform = program.platform();
        if programs.insert(platform.clone(), program).is_some() {
            return Err(CliError::Usage(format!(
                "`{}` is a second program for {platform}; give one for each platform",
                path.display()
            )));
        }
    }

    Ok(programs.into_values().collect())
}

/// Reads a regular file within the size limit. Others may have no end, or wait for a writer.
fn read_program(path: &Path) -> Result<Vec<u8>, CliError> {
    let failure = |source| CliError::File {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let refused = |reason: &str| {
        CliError::Usage(format!(
            "`{}` {reason}; `--binary` is the file of one program",
            path.display()
        ))
    };
    // Before it is opened: opening a named pipe waits.
    let metadata = fs::metadata(path).map_err(failure)?;
    if metadata.is_dir() {
        return Err(refused("is a directory"));
    }
    if !metadata.is_file() {
        return Err(refused("is a device, a pipe or a socket"));
    }

    let too_large = || refused("is larger than 1 GiB, and no program is");
    if metadata.len() > MAX_PROGRAM_BYTES {
        return Err(too_large());
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(failure)?;
    let read = file
        .take(MAX_PROGRAM_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(failure)?;
    if read as u64 > MAX_PROGRAM_BYTES {
        return Err(too_large());
    }

    Ok(content)
}

fn variant(
    program: Program,
    arguments: &BinaryArguments,
    (name, facts): (&str, &Facts),
    settings: &Settings,
    scratch: &Path,
) -> Result<Variant, CliError> {
    let mut files = BTreeMap::new();
    if arguments.ca_certificates {
        files.insert(certificates::PATH.to_owned(), certificates::pem());
    }

    let title = ("org.opencontainers.image.title".to_owned(), name.to_owned());
    let summary = facts
        .summary
        .clone()
        .map(|summary| ("org.opencontainers.image.description".to_owned(), summary));
    let ports: BTreeSet<u16> = facts.ports.iter().copied().collect();
    let platform = program.platform();
    let created = settings.source_date.map(source_date::rfc3339);
    let sbom = sbom::of_unknown(name, &program, created.clone());
    let image = ProgramImage {
        name: name.to_owned(),
        program,
        links: facts.links.clone(),
        command: facts.command.clone(),
        environment: Vec::new(),
        ports: ports.into_iter().collect(),
        folders: facts.folders.clone(),
        files,
        labels: [title]
            .into_iter()
            .chain(summary)
            .chain(settings.labels.clone())
            .collect(),
        modified: settings.source_date.unwrap_or_default(),
        created,
    };

    let draft = if let Some(base) = &arguments.base {
        let layout = base::open(base, scratch)?;
        BaseImage::read(&layout, &platform)
            .and_then(|base| image.draft_on(base, settings.compression))
    } else {
        image.draft(settings.compression)
    };
    let draft = draft.map_err(|error| failure(name, &error))?;
    Ok(Variant { draft, sbom })
}

/// The name becomes a folder, a file in the image and usually a repository: OCI's rules for repositories hold.
fn check_name(name: &str) -> Result<(), CliError> {
    let fits =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let is_valid = name.len() <= 128
        && name.chars().all(fits)
        && is_edge(name.chars().next())
        && is_edge(name.chars().last());
    // The root of every image has these folders.
    let is_reserved = matches!(name, "etc" | "licenses" | "run" | "tmp");

    if is_valid && !is_reserved {
        Ok(())
    } else {
        Err(CliError::Usage(format!(
            "`{name}` cannot be the name of an image; use lower-case letters, digits, `-`, `_` and `.`, and none of \
             etc, licenses, run and tmp"
        )))
    }
}

/// The program is in memory while its layer is compressed; the largest ones with debug information have some hundred MB.
const MAX_PROGRAM_BYTES: u64 = 1 << 30;
