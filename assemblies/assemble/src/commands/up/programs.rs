//! The program that stands for each container's image.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use task_definition::TaskDefinition;
use task_runner::Program;

use super::Arguments;
use super::stand_in::Stubs;
use super::target::Target;
use crate::failure::Failure;
use crate::project::Project;

/// Finds all of them; those that are missing come back together, each with what to do.
pub(super) fn find(
    definition: &TaskDefinition,
    stubs: &Stubs,
    target: &Target,
    arguments: &Arguments,
    project: &Project,
) -> Result<BTreeMap<String, Program>, Failure> {
    let folder = project
        .root()
        .canonicalize()
        .unwrap_or_else(|_| project.root().to_owned());
    let places = places(&folder);
    let (mut programs, mut missing, mut code) = (BTreeMap::new(), Vec::new(), NOT_RUN);
    let has_image = |name: &str| arguments.image.iter().any(|one| one.container == name);
    let others = definition.container_definitions.iter();

    for container in others.filter(|one| !has_image(&one.name)) {
        let named = arguments
            .program
            .iter()
            .rev()
            .find(|(name, _)| *name == container.name);
        let local = target
            .components
            .get(&container.name)
            .and_then(|one| one.local.as_ref()?.program());

        let stub = stubs.get(&container.name);
        let found = match (named, local) {
            (Some((_, file)), _) if Path::new(file).exists() => absolute(file).ok_or_else(|| {
                format!(
                    "`{}`: `{file}` is no program; run `chmod +x` if it should be",
                    container.name
                )
            }),
            (Some((_, file)), _) => Err(format!(
                "`{}`: there is no program `{file}`",
                container.name
            )),
            (None, _) if stub.is_some() => {
                env::current_exe().map_err(|why| format!("`{}`: no stub: {why}", container.name))
            }
            (None, Some(local)) => look(&local.binary, &places)
                .ok_or_else(|| format!("`{}`: build it with `{}`", container.name, local.build)),
            (None, None) => Err(format!(
                "`{0}`: its image `{1}` is none of the components'; name a program with `--program {0}=FILE`, \
                 run what is in the image with `--image {0}` (by podman or docker), let a stub stand for it with \
                 `--stub {0}`, or leave it out with `--skip {0}`",
                container.name, container.image
            )),
        };

        match found {
            Ok(binary) => {
                let program = Program {
                    binary,
                    arguments: stub
                        .filter(|_| named.is_none())
                        .map(|(kind, ports)| kind.arguments(ports))
                        .unwrap_or_default(),
                    folder: folder.clone(),
                    image: None,
                };
                programs.insert(container.name.clone(), program);
            }
            Err(what) => {
                let is_there = named.is_some_and(|(_, file)| Path::new(file).exists());
                code = if is_there { code } else { NOT_FOUND };
                missing.push(what);
            }
        }
    }

    if missing.is_empty() {
        return Ok(programs);
    }
    let missing = missing.join("\n  ");
    let words = format!("these containers have no program yet:\n  {missing}");

    Err(Failure::Program { words, code })
}

const NOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Where to look: the chosen folder, beside this command, where cargo puts things, the PATH.
fn places(root: &Path) -> Vec<PathBuf> {
    let chosen = env::var_os("ASSEMBLE_BIN_DIR").map(PathBuf::from);
    let beside = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let cargo = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
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

fn look(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    let files = places.iter().map(|place| place.join(name));
    files
        .filter(|file| executable(file))
        .find_map(|file| file.canonicalize().ok())
}

fn absolute(file: &str) -> Option<PathBuf> {
    let file = Path::new(file).canonicalize().ok()?;
    executable(&file).then_some(file)
}

fn executable(file: &Path) -> bool {
    let found = file.metadata();
    found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
