//! Finds the host directories that a container's variables name, which are visible in the container.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{self, Component, Path, PathBuf};

use task_runner::{FileMount, RunPlan};

use crate::{Error, Project};

/// Returns the host directories with the files that a container's variables name: `INPUT=clip.mp4`. The parent
/// directory is used because a careful program writes a temporary file next to the result. For the system's
/// directories only the path itself is used.
pub(super) fn find_mentioned(plan: &RunPlan) -> BTreeMap<String, Vec<PathBuf>> {
    let mut folders = BTreeMap::<String, Vec<PathBuf>>::new();
    for container in &plan.definition.container_definitions {
        let Some(program) = plan.programs.get(&container.name) else {
            continue;
        };
        let overrides = plan.environment.get(&container.name);
        let own = container
            .environment
            .iter()
            // A path in an image's definition is a path in the image.
            .filter(|_| program.image.is_none())
            .filter(|variable| {
                overrides.is_none_or(|overrides| !overrides.contains_key(&variable.name))
            });

        let values = own
            .map(|variable| &variable.value)
            .chain(overrides.into_iter().flat_map(BTreeMap::values));
        let paths = values.filter_map(|value| host_folder(value, &program.folder));
        folders.insert(container.name.clone(), paths.collect());
    }

    folders
}

/// Returns the files below `.assemble/` that the variables of containers in images name, such as
/// `.assemble/dev/jwks.json`. A file that does not exist yet is created, for containers that write it.
///
/// For root they are copies in the run directory: the users of an image are other users of this host then, and the
/// owners of the project's files must stay as they are. Every other path in an image's definition is a path in the image.
pub(super) fn find_project_files(
    plan: &RunPlan,
    project: &Project,
) -> Result<BTreeMap<String, Vec<FileMount>>, Error> {
    let root = path::absolute(project.root()).unwrap_or_else(|_| project.root().to_owned());
    let is_root = task_runner::image_owner(0, 0).is_some();
    let mut files = BTreeMap::<String, Vec<FileMount>>::new();
    for container in &plan.definition.container_definitions {
        let Some(program) = plan.programs.get(&container.name) else {
            continue;
        };
        if program.image.is_none() {
            continue;
        }

        for value in plan.variables(container).into_values() {
            let value = value.strip_prefix("file:").unwrap_or(&value);
            let relative = Path::new(value);
            let is_inside = relative
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            let is_project_file = is_inside && relative.starts_with(PROJECT_FOLDER);
            let source = root.join(relative);
            if !is_project_file || source.is_dir() {
                continue;
            }

            let source = if is_root {
                let copy = plan.folder.join("files").join(&container.name);
                let copy = copy.join(relative);
                copy_file(&source, &copy)?;
                copy
            } else {
                create_file(&source)?;
                source
            };
            files
                .entry(container.name.clone())
                .or_default()
                .push(FileMount {
                    source,
                    target: program.folder.join(relative),
                });
        }
    }

    Ok(files)
}

/// Copies a file, or creates an empty one if it does not exist.
fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    create_file(to)?;
    match fs::copy(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::File {
            act: "read",
            path: from.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

fn create_file(path: &Path) -> Result<(), Error> {
    let created = path.parent().map_or(Ok(()), fs::create_dir_all);
    let mut options = File::options();
    let created = created.and_then(|()| options.append(true).create(true).open(path));
    match created {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::File {
            act: "write",
            path: path.to_owned(),
            source,
        }),
    }
}

fn host_folder(value: &str, folder: &Path) -> Option<PathBuf> {
    let value = value
        .strip_prefix("file://")
        .or_else(|| value.strip_prefix("file:"))
        .unwrap_or(value);

    // Longer than PATH_MAX, or not a local path at all.
    if value.is_empty()
        || value.len() > 4096
        || value.contains(['\n', '\0'])
        || value.contains("://")
    {
        return None;
    }

    let path = folder.join(value);
    let is_path = value.contains('/') || value.contains('.');
    let is_system = SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder));
    let path = if path.is_dir() || is_system {
        path
    } else if path.exists() || is_path {
        path.parent()?.to_owned()
    } else {
        return None;
    };

    // Never the whole root or temporary directory: that would expose unrelated files.
    let path = path.canonicalize().ok()?;
    (path.parent().is_some() && path != env::temp_dir()).then_some(path)
}

/// The folder of development keys and of what local runs write.
const PROJECT_FOLDER: &str = ".assemble";

const SYSTEM_FOLDERS: &[&str] = &[
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/opt", "/sbin", "/usr", "/var",
];
