//! Finds rendered folders that belong to no assembly.

use std::fs;

use assembly::{Plan, Values};

use crate::project::Project;

/// Returns the folders with rendered documents that are neither those of an assembly nor of an environment.
pub(super) fn abandoned_folders(plans: &[Plan], project: &Project) -> Vec<String> {
    let environments = project.environments();
    let is_known = |name: &str| {
        let mut environments = environments.iter().flat_map(Values::environments);
        plans.iter().any(|plan| plan.name() == name)
            || environments.any(|environment| environment == name)
    };
    let root = project.root().join("assemblies/rendered");
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut folders: Vec<String> = entries
        .filter(|entry| entry.path().join("task-definition.json").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !is_known(name))
        .collect();
    folders.sort();
    folders
}
