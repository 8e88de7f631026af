//! Writes `assemblies/rendered/README.md`, the index that GitHub shows with the directory.

use std::path::Path;

use assembly::Plan;
use assembly::render::{Entry, index};

use super::render::{files_under, write_if_different};
use crate::error::CliError;
use crate::project::Project;

/// Writes the index if it differs, and returns the number of files written.
pub(crate) fn write(plans: &[Plan], project: &Project) -> Result<usize, CliError> {
    let rendered = project.root().join("assemblies/rendered");
    let entries: Vec<Entry<'_>> = plans
        .iter()
        .map(|plan| Entry {
            plan,
            paths: paths(&rendered.join(plan.name())),
        })
        .collect();
    let is_new = write_if_different(&rendered.join("README.md"), &index(&entries))?;
    Ok(usize::from(is_new))
}

/// Returns the documents of a directory, sorted, those in subdirectories last.
fn paths(folder: &Path) -> Vec<String> {
    let files = files_under(folder).into_iter();
    let inside = files.filter_map(|file| Some(file.strip_prefix(folder).ok()?.to_owned()));
    let mut paths: Vec<String> = inside
        .map(|path| path.display().to_string().replace('\\', "/"))
        .collect();
    paths.sort_by_key(|path| (path.matches('/').count(), path.clone()));
    paths
}
