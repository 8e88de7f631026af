//! The folders of this machine that a container's variables name, which it sees as they are.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use task_runner::RunPlan;

/// The folders of this machine that hold what a container's variables name: `INPUT=clip.mp4`. Who writes a
/// file well writes another one beside it first; of the system's own folders only the file itself is meant.
pub(super) fn kept(plan: &RunPlan) -> BTreeMap<String, Vec<PathBuf>> {
    let mut kept = BTreeMap::<String, Vec<PathBuf>>::new();
    for container in &plan.definition.container_definitions {
        let Some(program) = plan.programs.get(&container.name) else {
            continue;
        };
        let over = plan.environment.get(&container.name);
        let own = container
            .environment
            .iter()
            // What a definition names for an image is in the image.
            .filter(|_| program.image.is_none())
            .filter(|one| over.is_none_or(|over| !over.contains_key(&one.name)));

        let values = own
            .map(|one| &one.value)
            .chain(over.into_iter().flat_map(BTreeMap::values));
        let paths = values.filter_map(|value| named(value, &program.folder));
        kept.insert(container.name.clone(), paths.collect());
    }

    kept
}

fn named(value: &str, folder: &Path) -> Option<PathBuf> {
    let value = value
        .strip_prefix("file://")
        .or_else(|| value.strip_prefix("file:"))
        .unwrap_or(value);

    if value.is_empty()
        || value.len() > 4096
        || value.contains(['\n', '\0'])
        || value.contains("://")
    {
        return None;
    }

    let path = folder.join(value);
    let is_path = value.contains('/') || value.contains('.');
    let is_system = SYSTEM.iter().any(|folder| path.starts_with(folder));
    let path = if path.is_dir() || is_system {
        path
    } else if path.exists() || is_path {
        path.parent()?.to_owned()
    } else {
        return None;
    };

    // The root of the machine is nobody's to keep.
    let path = path.canonicalize().ok()?;
    (path.parent().is_some() && path != env::temp_dir()).then_some(path)
}

const SYSTEM: &[&str] = &[
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/opt", "/sbin", "/usr", "/var",
];
