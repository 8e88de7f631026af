//! Finds the program for each container's image.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use task_definition::{ContainerDefinition, TaskDefinition};
use task_runner::Program;

use super::stub::Stubs;
use super::target::Target;
use crate::Error;
use crate::Options;
use crate::Project;

/// Finds all programs. Missing ones are reported together, each with what to do.
pub(super) fn find(
    definition: &TaskDefinition,
    stubs: &Stubs,
    target: &Target,
    options: &Options,
    project: &Project,
) -> Result<BTreeMap<String, Program>, Error> {
    let folder = project
        .root()
        .canonicalize()
        .unwrap_or_else(|_| project.root().to_owned());
    let search_path = search_path(&folder);
    let (mut programs, mut missing, mut code) = (BTreeMap::new(), Vec::new(), CANNOT_EXECUTE);
    let has_image = |name: &str| options.image.iter().any(|choice| choice.container == name);
    let containers = definition.container_definitions.iter();

    for container in containers.filter(|container| !has_image(&container.name)) {
        // The last `--program` of a container wins, as with other flags.
        let chosen = options
            .program
            .iter()
            .rev()
            .find(|(name, _)| *name == container.name)
            .map(|(_, file)| file.as_str());
        let stub = stubs.get(&container.name).filter(|_| chosen.is_none());

        let found = match (chosen, stub) {
            (Some(file), _) => find_chosen(container, file),
            (None, Some(_)) => own_binary(container),
            (None, None) => find_component(container, target, &search_path),
        };
        match found {
            Ok(binary) => {
                let program = Program {
                    binary,
                    arguments: stub
                        .map(|(kind, ports)| kind.arguments(ports))
                        .unwrap_or_default(),
                    called_as: target.called_as(&container.name),
                    folder: folder.clone(),
                    image: None,
                };
                programs.insert(container.name.clone(), program);
            }
            Err(problem) => {
                // Of several errors, a missing program decides the exit code.
                code = code.max(problem.code);
                missing.push(problem.message);
            }
        }
    }

    if missing.is_empty() {
        return Ok(programs);
    }
    let missing = missing.join("\n  ");
    let message = format!("no program for these containers:\n  {missing}");

    Err(Error::Program { message, code })
}

/// Why a container has no program.
struct ProgramProblem {
    message: String,
    code: u8,
}

impl ProgramProblem {
    fn not_found(message: String) -> Self {
        Self {
            message,
            code: NOT_FOUND,
        }
    }
}

/// Returns the program chosen on the command line.
fn find_chosen(container: &ContainerDefinition, file: &str) -> Result<PathBuf, ProgramProblem> {
    let name = &container.name;
    if !Path::new(file).exists() {
        let message = format!("`{name}`: program `{file}` not found");
        return Err(ProgramProblem::not_found(message));
    }
    absolute(file).ok_or_else(|| ProgramProblem {
        message: format!("`{name}`: `{file}` is not executable; run `chmod +x` on it"),
        code: CANNOT_EXECUTE,
    })
}

/// Returns this program: stubs are built into it.
fn own_binary(container: &ContainerDefinition) -> Result<PathBuf, ProgramProblem> {
    env::current_exe().map_err(|why| {
        let message = format!("`{}`: cannot start a stub: {why}", container.name);
        ProgramProblem::not_found(message)
    })
}

/// Returns the program of the container's component.
fn find_component(
    container: &ContainerDefinition,
    target: &Target,
    search_path: &[PathBuf],
) -> Result<PathBuf, ProgramProblem> {
    let component = target.components.get(&container.name);
    let local = component.and_then(|component| component.local.as_ref()?.program());
    let message = match local {
        Some(local) => match find_program(&local.binary, search_path) {
            Some(binary) => return Ok(binary),
            None => format!("`{}`: build it with `{}`", container.name, local.build),
        },
        None => format!(
            "`{0}`: its image `{1}` is not a component of this project; choose a program with `--program {0}=FILE`, \
             run the image with `--image {0}`, replace it with a stub (`--stub {0}`), or skip it \
             (`--skip {0}`)",
            container.name, container.image
        ),
    };

    Err(ProgramProblem::not_found(message))
}

const CANNOT_EXECUTE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Returns where to look for programs: `ASSEMBLE_BIN_DIR`, next to this binary, cargo's output, the PATH.
fn search_path(root: &Path) -> Vec<PathBuf> {
    let chosen = env::var_os("ASSEMBLE_BIN_DIR").map(PathBuf::from);
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let cargo = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // A release build is preferred if both exist.
    let built = [cargo.join("release"), cargo.join("debug")];
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<_> = env::split_paths(&path).collect();

    chosen
        .into_iter()
        .chain(beside)
        .chain(built)
        .chain(path)
        .collect()
}

fn find_program(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let files = folders.iter().map(|folder| folder.join(name));
    files
        .filter(|file| is_executable(file))
        .find_map(|file| file.canonicalize().ok())
}

fn absolute(file: &str) -> Option<PathBuf> {
    let file = Path::new(file).canonicalize().ok()?;
    is_executable(&file).then_some(file)
}

fn is_executable(file: &Path) -> bool {
    let found = file.metadata();
    found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
