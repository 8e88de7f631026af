//! The tasks that `up` runs or has run, as their folders tell of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::up::{TASK, is_alive};
use crate::failure::Failure;
use crate::project::Project;

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// What DescribeTasks would say of it.
    pub(crate) task: Value,
    pub(crate) alive: bool,
}

impl Run {
    /// All that are known, newest first.
    pub(crate) fn all(project: &Project) -> Vec<Self> {
        let folders = fs::read_dir(project.root().join(".assemble/run"));
        let folders = folders
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let mut all: Vec<_> = folders.filter_map(|folder| Self::read(&folder)).collect();
        all.sort_by(|a, b| b.created().total_cmp(&a.created()));
        all
    }

    /// The one that is named: by its whole name, or by as much of it as only one has.
    pub(crate) fn named(name: &str, project: &Project) -> Result<Self, Failure> {
        let mut all = Self::all(project);
        if let Some(at) = all.iter().position(|one| one.name == name) {
            return Ok(all.swap_remove(at));
        }
        all.retain(|one| one.name.starts_with(name));
        Self::only(
            all,
            &format!("no run is called `{name}`; `assemble ps --all` lists them"),
        )
    }

    /// The one that runs, when nobody is named.
    pub(crate) fn alive(project: &Project) -> Result<Self, Failure> {
        let mut all = Self::all(project);
        all.retain(|one| one.alive);
        Self::only(all, "nothing runs here")
    }

    fn only(mut all: Vec<Self>, none: &str) -> Result<Self, Failure> {
        match all.pop() {
            Some(one) if all.is_empty() => Ok(one),
            Some(last) => {
                all.push(last);
                let names: Vec<_> = all.iter().map(|one| format!("`{}`", one.name)).collect();
                Err(Failure::Usage(format!(
                    "which one? name one of {}",
                    names.join(", ")
                )))
            }
            None => Err(Failure::Usage(none.to_owned())),
        }
    }

    fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join(TASK)).ok()?;
        let mut document: Value = serde_json::from_str(&text).ok()?;
        Some(Self {
            name: folder.file_name()?.to_str()?.to_owned(),
            folder: folder.to_owned(),
            task: document["tasks"][0].take(),
            alive: is_alive(folder),
        })
    }

    fn created(&self) -> f64 {
        self.task["createdAt"].as_f64().unwrap_or_default()
    }

    /// The status of the task; a runner that was killed could not write down the end.
    pub(crate) fn status(&self) -> &str {
        match self.task["lastStatus"].as_str() {
            Some(status) if self.alive => status,
            Some("STOPPED") => "STOPPED",
            _ => "GONE",
        }
    }
}
