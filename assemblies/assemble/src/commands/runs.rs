//! The tasks and services that `up` runs or has run, read from their run directories.

use std::fs;
use std::path::{Path, PathBuf};

use local::{SERVICE, TASK, is_alive, started_by};
use serde_json::Value;

use crate::error::CliError;
use crate::project::Project;

/// A run: a task or a service.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// The task as DescribeTasks returns it, or the service as DescribeServices does.
    pub(crate) task: Value,
    pub(crate) alive: bool,
}

impl Run {
    /// Returns all tasks, newest first.
    pub(crate) fn all(project: &Project) -> Vec<Self> {
        Self::read_all(project, Self::read)
    }

    /// Returns all running services, newest first.
    pub(crate) fn services(project: &Project) -> Vec<Self> {
        let read = |folder: &Path| Self::from_folder(folder, SERVICE, "services");
        let mut all = Self::read_all(project, read);
        all.retain(|run| run.alive);
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
        all.sort_by(|a, b| b.created_at().total_cmp(&a.created_at()));
        all
    }

    /// Finds a run by its name, or by an unambiguous prefix of it.
    pub(crate) fn find(name: &str, project: &Project) -> Result<Self, CliError> {
        let mut all = Self::all(project);
        if let Some(at) = all.iter().position(|run| run.name == name) {
            return Ok(all.swap_remove(at));
        }
        all.retain(|run| run.name.starts_with(name));
        Self::only(
            all,
            &format!("no run `{name}`; `assemble ps --all` lists all runs"),
        )
    }

    /// Returns the only running task.
    pub(crate) fn only_running(project: &Project) -> Result<Self, CliError> {
        let mut all = Self::all(project);
        all.retain(|run| run.alive);
        Self::only(all, "no task is running in this project")
    }

    /// Finds the run to stop. A prefix, or no name, selects a service rather than its tasks.
    pub(crate) fn to_stop(name: Option<&str>, project: &Project) -> Result<Self, CliError> {
        let services = Self::services(project);
        let mut all = Self::all(project);
        let has_name = |run: &Self| Some(run.name.as_str()) == name;
        // The whole name of a task selects it, unless a service has the same name.
        if !services.iter().any(has_name)
            && let Some(at) = all.iter().position(has_name)
        {
            return Ok(all.swap_remove(at));
        }

        all.retain(|run| !services.iter().any(|service| run.belongs_to(service)));
        all.extend(services);
        if let Some(at) = all.iter().rposition(has_name) {
            return Ok(all.swap_remove(at));
        }

        let Some(name) = name else {
            all.retain(|run| run.alive);
            return Self::only(all, "no task is running in this project");
        };

        all.retain(|run| run.name.starts_with(name));
        Self::only(
            all,
            &format!("no run `{name}`; `assemble ps --all` lists all runs"),
        )
    }

    /// Returns whether this is a service; its tasks are runs too.
    pub(crate) fn is_service(&self) -> bool {
        self.task["serviceName"].is_string()
    }

    /// Returns whether this is a task of the service.
    pub(crate) fn belongs_to(&self, service: &Self) -> bool {
        self.task["startedBy"] == started_by(&service.name)
    }

    /// Returns whether this run is still running. A replacement task has the same name but is another run.
    pub(crate) fn is_still_running(&self) -> bool {
        let now = if self.is_service() {
            Self::from_folder(&self.folder, SERVICE, "services")
        } else {
            Self::read(&self.folder)
        };
        #[expect(clippy::float_cmp, reason = "both are read from the same text")]
        now.is_some_and(|now| now.alive && now.created_at() == self.created_at())
    }

    fn only(mut all: Vec<Self>, none_message: &str) -> Result<Self, CliError> {
        match all.pop() {
            Some(run) if all.is_empty() => Ok(run),
            Some(last) => {
                all.push(last);
                let names: Vec<_> = all.iter().map(|run| format!("`{}`", run.name)).collect();
                Err(CliError::Usage(format!(
                    "several runs match; choose one of: {}",
                    names.join(", ")
                )))
            }
            None => Err(CliError::Usage(none_message.to_owned())),
        }
    }

    fn read(folder: &Path) -> Option<Self> {
        Self::from_folder(folder, TASK, "tasks")
    }

    fn from_folder(folder: &Path, file: &str, list: &str) -> Option<Self> {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        let mut document: Value = serde_json::from_str(&text).ok()?;
        Some(Self {
            name: folder.file_name()?.to_str()?.to_owned(),
            folder: folder.to_owned(),
            task: document[list][0].take(),
            alive: is_alive(folder),
        })
    }

    fn created_at(&self) -> f64 {
        self.task["createdAt"].as_f64().unwrap_or_default()
    }

    /// Sets the status of a task with a killed runner, and of its containers, to GONE.
    pub(crate) fn mark_as_stopped_if_dead(&mut self) {
        if self.status() != GONE {
            return;
        }
        self.task["lastStatus"] = GONE.into();

        let containers = self.task["containers"].as_array_mut();
        for container in containers.into_iter().flatten() {
            if container["lastStatus"] == "STOPPED" {
                continue;
            }
            container["lastStatus"] = GONE.into();

            // The pid and the ports may belong to another process by now.
            if let Some(fields) = container.as_object_mut() {
                fields.retain(|name, _| name != "pid" && name != "networkBindings");
            }
        }
    }

    /// Returns the task's status. A killed runner could not record the end, so its last status is outdated.
    pub(crate) fn status(&self) -> &str {
        match self.task["lastStatus"].as_str() {
            Some(status) if self.alive => status,
            Some("STOPPED") => "STOPPED",
            _ => GONE,
        }
    }
}

/// Status of a task that ended without a record of it, because its runner was killed.
const GONE: &str = "GONE";
