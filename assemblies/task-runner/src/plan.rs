//! The input of a run: a task definition, and the host's replacements for AWS resources.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use task_definition::{ContainerDefinition, TaskDefinition};

use crate::cgroups::Cgroups;
use crate::image::Image;
use crate::image_volume;
use crate::launch::unknown_users;
use crate::machine::{Spec, SpecError};
use crate::sandbox::{Overlay, Sandbox, chown_to_image_users};

/// A task definition, and what this host provides in place of AWS.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// The document that would be registered.
    pub definition: TaskDefinition,
    /// The program that replaces each container's image, by container.
    pub programs: BTreeMap<String, Program>,
    /// Variables that override the definition's, by container.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables of every container, unless its definition sets them.
    pub defaults: BTreeMap<String, String>,
    /// The values of `secrets`, by `valueFrom`.
    pub secrets: Secrets,
    /// The folder for log files; it must exist.
    pub folder: PathBuf,
    /// The program that calls [`init::run_if_init`](crate::init::run_if_init); usually this one, see
    /// [`init::own_executable`](crate::init::own_executable).
    pub init: PathBuf,
    /// Divides intervals and start periods of health checks; 1 for no change.
    pub fast_health: u32,
    /// The namespaces of the task; without them its containers are ordinary processes of this host.
    pub sandbox: Option<Arc<Sandbox>>,
    /// The cgroups that enforce `memory` and `cpu`. Without them memory is polled, and containers over a limit are
    /// killed.
    pub cgroups: Option<Arc<Cgroups>>,
    /// Files and folders of this host that a container's variables name, by container. They stay visible and
    /// writable, even with a read-only root.
    pub writable_paths: BTreeMap<String, Vec<PathBuf>>,
    /// The file mounted at `/etc/hosts` in every container, for names outside of the task.
    pub hosts: Option<PathBuf>,
    /// Folders of this host for volumes that outlive the task, by volume; others are created in `folder`.
    pub volumes: BTreeMap<String, PathBuf>,
}

/// A program that replaces an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file to run.
    pub binary: PathBuf,
    /// Arguments before those of the definition.
    pub arguments: Vec<String>,
    /// The words that call the program in the definition, where it is one of several in an image: `/tools` and
    /// `proxy`. It replaces all of them. Otherwise empty, and it replaces the first word of `entryPoint`.
    pub called_as: Vec<String>,
    /// The working directory.
    pub folder: PathBuf,
    /// The image that contains it; `None` for a program of this host.
    pub image: Option<Image>,
}

impl Program {
    /// Returns what an image runs for a container.
    ///
    /// As in Docker, `entryPoint` replaces the image's entry point and command, `command` only its command.
    pub fn from_image(image: Image, container: &ContainerDefinition) -> Self {
        let entry_point = [&container.entry_point, &image.entry_point]
            .into_iter()
            .find(|words| !words.is_empty());
        // With an entry point of the definition, the image's command would be arguments of another program.
        let image_command = container.entry_point.is_empty().then_some(&image.command);
        let command = [Some(&container.command), image_command]
            .into_iter()
            .flatten()
            .find(|words| !words.is_empty());
        let mut words = entry_point.into_iter().chain(command).flatten().cloned();

        Self {
            binary: words.next().unwrap_or_default().into(),
            arguments: words.collect(),
            // The whole command is in `arguments`, and the image has the program it calls.
            called_as: Vec::new(),
            folder: container.working_directory.as_ref().map_or_else(
                || image.folder.clone(),
                |folder| Path::new("/").join(folder),
            ),
            image: Some(image),
        }
    }
}

/// Secret values by `valueFrom`; they are never printed.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

/// Why a task cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The definition has no valid start and stop order.
    #[error("cannot run this definition: {}", list(.0))]
    Definition(Vec<SpecError>),
    /// No program replaces the images of these containers.
    #[error("there is no program for {}; name one for each", list(.0))]
    Programs(Vec<String>),
    /// Names that ECS rejects, and that could lead out of the folder of a run.
    #[error("invalid names: {}; use letters, digits, `-` and `_` as ECS requires", list(.0))]
    Names(Vec<String>),
    /// Users that do not exist.
    #[error("there is no user {}; write a number, or a name that the image knows", list(.0))]
    Users(Vec<String>),
    /// Secrets without a value.
    #[error("these secrets have no value here: {}", list(.0))]
    Secrets(Vec<String>),
    /// A folder could not be created.
    #[error("cannot create the folder `{}`: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A log file could not be opened.
    #[error("cannot write logs to `{}`: {source}", folder.display())]
    Logs {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// Checks that the names of containers and volumes are valid names of files and folders.
///
/// # Errors
///
/// Returns [`RunError::Names`] with all invalid names.
pub fn validate_names(definition: &TaskDefinition) -> Result<(), RunError> {
    let containers = definition.container_definitions.iter();
    let volumes = definition.volumes.iter().map(|volume| &volume.name);
    // A mount may name a volume that is not declared: that name becomes a folder, too.
    let sources = (containers.clone())
        .flat_map(|container| &container.mount_points)
        .map(|mount| &mount.source_volume);
    let names = containers
        .map(|container| &container.name)
        .chain(volumes)
        .chain(sources);
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let invalid: BTreeSet<String> = names
        .filter(|name| name.is_empty() || name.len() > 255 || !name.chars().all(is_valid))
        .map(|name| format!("`{name}`"))
        .collect();

    if invalid.is_empty() {
        return Ok(());
    }
    Err(RunError::Names(invalid.into_iter().collect()))
}

impl RunPlan {
    /// Checks that everything needed is there, and returns the machine's spec.
    pub(crate) fn spec(&self) -> Result<Spec, RunError> {
        // First: names become paths in everything that follows.
        validate_names(&self.definition)?;
        let spec = Spec::read(&self.definition).map_err(RunError::Definition)?;
        let containers = &self.definition.container_definitions;
        let without_program: Vec<_> = containers
            .iter()
            .filter(|container| !self.programs.contains_key(&container.name))
            .map(|container| format!("`{}`", container.name))
            .collect();

        if !without_program.is_empty() {
            return Err(RunError::Programs(without_program));
        }

        let missing: Vec<_> = containers
            .iter()
            .flat_map(|container| &container.secrets)
            .map(|secret| &secret.value_from)
            .filter(|name| !self.secrets.0.contains_key(*name))
            .collect();

        if !missing.is_empty() {
            return Err(RunError::Secrets(missing.into_iter().cloned().collect()));
        }

        let unknown_users = unknown_users(self);
        if !unknown_users.is_empty() {
            return Err(RunError::Users(unknown_users));
        }

        Ok(spec.with_fast_health(self.fast_health))
    }

    /// Creates the folders of volumes and overlays, and the scratch folder for mounts.
    pub(crate) fn make_folders(&self) -> Result<(), RunError> {
        let containers = self.definition.container_definitions.iter();
        let volumes = containers
            .flat_map(|container| &container.mount_points)
            .map(|mount| &mount.source_volume)
            .filter(|name| !self.volumes.contains_key(*name))
            .map(|name| self.volume(name));
        let overlays = (self.programs.iter())
            .filter(|(_, program)| program.image.is_some())
            .flat_map(|(name, _)| Overlay::new(&self.folder, name).folders());

        for folder in volumes.chain(overlays).chain([self.folder.join("scratch")]) {
            fs::create_dir_all(&folder).map_err(|source| RunError::Folder { folder, source })?;
        }
        self.fill_volumes()?;
        self.chown_image_folders()
    }

    /// Fills the volumes that images prepare: the first container with one decides, as the first to mount it on ECS.
    fn fill_volumes(&self) -> Result<(), RunError> {
        let mut filled = BTreeSet::new();
        for container in &self.definition.container_definitions {
            let program = self.programs.get(&container.name);
            let Some(image) = program.and_then(|program| program.image.as_ref()) else {
                continue;
            };

            for mount in &container.mount_points {
                let name = &mount.source_volume;
                // A file system that outlives the task is mounted as it is.
                if self.volumes.contains_key(name) || filled.contains(name) {
                    continue;
                }
                let folder = self.volume(name);
                let done = image_volume::fill(image, &mount.container_path, &folder)
                    .map_err(|source| RunError::Folder { folder, source })?;
                if done {
                    filled.insert(name.clone());
                }
            }
        }

        Ok(())
    }

    /// Returns the folder of a volume.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        let persistent = self.volumes.get(name).cloned();
        persistent.unwrap_or_else(|| self.folder.join("volumes").join(name))
    }

    /// Makes the files that a container in an image may write belong to the users of the image.
    fn chown_image_folders(&self) -> Result<(), RunError> {
        for container in &self.definition.container_definitions {
            let program = self.programs.get(&container.name);
            let Some(image) = program.and_then(|program| program.image.as_ref()) else {
                continue;
            };
            let mounts = container.mount_points.iter();
            let volumes = mounts.map(|mount| self.volume(&mount.source_volume));
            let overlay = Overlay::new(&self.folder, &container.name).folders();

            for folder in [image.root.clone()]
                .into_iter()
                .chain(overlay)
                .chain(volumes)
            {
                chown_to_image_users(&folder)
                    .map_err(|source| RunError::Folder { folder, source })?;
            }
        }

        Ok(())
    }

    /// Returns the environment of a container. It contains nothing of the caller's environment.
    pub(crate) fn environment_for(
        &self,
        container: &ContainerDefinition,
    ) -> BTreeMap<String, String> {
        let fixed = [
            ("PATH", PATH),
            ("HOME", "/"),
            ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"),
        ];
        // Each source overrides those before it.
        let mut all: BTreeMap<_, _> = fixed.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let program = self.programs.get(&container.name);
        let image = program.and_then(|program| program.image.as_ref());

        all.extend(image.map(Image::variables).unwrap_or_default());
        all.extend(self.defaults.clone());
        all.extend(
            container
                .environment
                .iter()
                .map(|variable| (variable.name.clone(), variable.value.clone())),
        );

        all.extend(container.secrets.iter().filter_map(|secret| {
            let value = self.secrets.0.get(&secret.value_from)?;
            Some((secret.name.clone(), value.clone()))
        }));

        all.extend(
            self.environment
                .get(&container.name)
                .cloned()
                .unwrap_or_default(),
        );

        all
    }
}

impl Secrets {
    /// Sets the value of a secret.
    pub fn insert(&mut self, value_from: impl Into<String>, value: impl Into<String>) {
        self.0.insert(value_from.into(), value.into());
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn list<T: fmt::Display>(all: &[T]) -> String {
    all.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The PATH of an image without one, as in Docker.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
