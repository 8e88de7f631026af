//! Names and directories of runs.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use crate::control_socket::is_alive;
use crate::dev_keys::private_folder;
use crate::{Error, Options, Project, Role};

/// Returns the run's name: the one that a background process got, that of `--name`, or a generated one.
pub(crate) fn choose_name(options: &Options, family: &str) -> String {
    let background = match &options.role {
        Role::Background { name } => Some(name.clone()),
        Role::Foreground | Role::Replica { .. } | Role::Task(_) => None,
    };
    background
        .or_else(|| options.name.clone())
        .unwrap_or_else(|| run_name(family))
}

/// Creates and locks the run directory, and removes old ones. The lock is held until the file is dropped.
pub(crate) fn claim_folder(
    options: &Options,
    family: &str,
    project: &Project,
) -> Result<(PathBuf, File), Error> {
    let name = choose_name(options, family);
    let folder = free_folder(&name, project)?;
    let lock = lock(&folder, &name)?;

    // A program that starts many tasks removes their directories once it has read how they ended.
    if options.role.identity().is_none() {
        remove_old_runs(project, MAX_OLD_RUNS);
    }
    Ok((folder, lock))
}

/// Creates the run directory, unless a run with this name is running.
pub(crate) fn free_folder(name: &str, project: &Project) -> Result<PathBuf, Error> {
    let folder = private_folder(project.root(), &format!("run/{name}"))?;
    if is_alive(&folder) {
        return Err(already_running(name));
    }
    Ok(folder)
}

/// Locks a run directory for this process: of two that start at the same time, one fails.
pub(crate) fn lock(folder: &Path, name: &str) -> Result<File, Error> {
    let path = folder.join("lock");
    let failure = |source| Error::File {
        act: "write",
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failure)?;

    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(already_running(name)),
        Err(TryLockError::Error(source)) => Err(failure(source)),
    }
}

fn already_running(name: &str) -> Error {
    Error::Usage(format!(
        "`{name}` is already running; stop it with `assemble stop {name}`"
    ))
}

/// Generates a unique name from the family, the time and the process id.
pub(crate) fn run_name(family: &str) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{family}-{:x}-{:x}", now.as_secs(), std::process::id())
}

/// Validates a name: it is one path segment and needs no shell quoting.
pub fn parse_run_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err("use letters, digits, `-` and `_` only".to_owned())
    }
}

/// Removes the directories of all runs that have ended, except the newest. A directory that cannot be removed is left.
pub fn remove_old_runs(project: &Project, kept: usize) {
    let runs = fs::read_dir(project.root().join(".assemble/run"));
    let with_time =
        |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let mut runs: Vec<_> = runs
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(with_time)
        .collect();

    runs.sort();
    runs.retain(|(_, folder)| !is_alive(folder));
    for (_, old) in runs.iter().rev().skip(kept) {
        // A killed run could not delete what its containers wrote into their images.
        task_runner::remove_overlays(old);
        let _ = fs::remove_dir_all(old);
    }
}

const MAX_OLD_RUNS: usize = 20;
