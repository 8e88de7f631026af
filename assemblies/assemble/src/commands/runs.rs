//! The tasks and services that `up` runs or has run, as their folders tell of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::up::{SERVICE, TASK, is_alive, started_by};
use crate::failure::Failure;
use crate::project::Project;

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// What DescribeTasks, or of a service DescribeServices, would say of it.
    pub(crate) task: Value,
    pub(crate) alive: bool,
}

impl Run {
    /// All tasks that are known, newest first.
    pub(crate) fn all(project: &Project) -> Vec<Self> {
        Self::read_all(project, Self::read)
    }

    /// All services that run, newest first.
    pub(crate) fn services(project: &Project) -> Vec<Self> {
        let read = |folder: &Path| Self::of(folder, SERVICE, "services");
        let mut all = Self::read_all(project, read);
        all.retain(|one| one.alive);
        all
    }

    fn read_all(project: &Project, read: impl Fn(&Path) -> Option<Self>) -> Vec<Self> {
        let folders = fs::read_dir(project.root().join(".assemble/run"));
        let folders = folders
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let mut all: Vec<_> = folders.filter_map(|folder| read(&folder)).collect();
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

    /// The one that is to be stopped. Less than a whole name, or none, means a service rather than its tasks.
    pub(crate) fn to_stop(name: Option<&str>, project: &Project) -> Result<Self, Failure> {
        let services = Self::services(project);
        let mut all = Self::all(project);
        let is_named = |one: &Self| Some(one.name.as_str()) == name;
        if !services.iter().any(is_named)
            && let Some(at) = all.iter().position(is_named)
        {
            return Ok(all.swap_remove(at));
        }

        all.retain(|one| !services.iter().any(|service| one.belongs_to(service)));
        all.extend(services);
        if let Some(at) = all.iter().rposition(is_named) {
            return Ok(all.swap_remove(at));
        }

        let Some(name) = name else {
            all.retain(|one| one.alive);
            return Self::only(all, "nothing runs here");
        };

        all.retain(|one| one.name.starts_with(name));
        Self::only(
            all,
            &format!("no run is called `{name}`; `assemble ps --all` lists them"),
        )
    }

    /// Whether it is several tasks, each of which is a run too.
    pub(crate) fn is_service(&self) -> bool {
        self.task["serviceName"].is_string()
    }

    /// Whether it is one of the tasks of this service.
    pub(crate) fn belongs_to(&self, service: &Self) -> bool {
        self.task["startedBy"] == started_by(&service.name)
    }

    /// Whether it still runs. A task that takes its place has its name, and is another one.
    pub(crate) fn goes_on(&self) -> bool {
        let now = if self.is_service() {
            Self::of(&self.folder, SERVICE, "services")
        } else {
            Self::read(&self.folder)
        };
        #[expect(clippy::float_cmp, reason = "both are read from the same text")]
        now.is_some_and(|now| now.alive && now.created() == self.created())
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
        Self::of(folder, TASK, "tasks")
    }

    fn of(folder: &Path, file: &str, list: &str) -> Option<Self> {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        let mut document: Value = serde_json::from_str(&text).ok()?;
        Some(Self {
            name: folder.file_name()?.to_str()?.to_owned(),
            folder: folder.to_owned(),
            task: document[list][0].take(),
            alive: is_alive(folder),
        })
    }

    fn created(&self) -> f64 {
        self.task["createdAt"].as_f64().unwrap_or_default()
    }

    /// Says of a task whose runner was killed, and of its containers, that they are GONE.
    pub(crate) fn own_up(&mut self) {
        if self.status() != GONE {
            return;
        }
        self.task["lastStatus"] = GONE.into();

        let containers = self.task["containers"].as_array_mut();
        for one in containers.into_iter().flatten() {
            if one["lastStatus"] == "STOPPED" {
                continue;
            }
            one["lastStatus"] = GONE.into();

            // The numbers may be somebody else's by now, as the ports.
            if let Some(one) = one.as_object_mut() {
                one.retain(|name, _| name != "pid" && name != "networkBindings");
            }
        }
    }

    /// The status of the task; a runner that was killed could not write down the end.
    pub(crate) fn status(&self) -> &str {
        match self.task["lastStatus"].as_str() {
            Some(status) if self.alive => status,
            Some("STOPPED") => "STOPPED",
            _ => GONE,
        }
    }
}

/// Of what runs no more, and nobody could write down how it ended.
const GONE: &str = "GONE";
