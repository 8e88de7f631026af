//! What is run, and with what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use task_definition::{ContainerDefinition, TaskDefinition};

use crate::groups::Groups;
use crate::image::Image;
use crate::launch::strangers;
use crate::machine::{Spec, SpecError};
use crate::sandbox::{Layers, Sandbox, give_to_image};

/// A task definition, and what this machine has to put in the place of what AWS would.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// The very document that would be registered.
    pub definition: TaskDefinition,
    /// The program that stands for each container's image, by container.
    pub programs: BTreeMap<String, Program>,
    /// Variables that win over the definition's, by container.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// Variables that every container gets unless its definition says otherwise.
    pub defaults: BTreeMap<String, String>,
    /// The values of `secrets`, by `valueFrom`.
    pub secrets: Secrets,
    /// Where log files go; it must exist.
    pub folder: PathBuf,
    /// The program that calls [`init::intercept`](crate::init::intercept); normally this one, as
    /// [`init::itself`](crate::init::itself) names it.
    pub init: PathBuf,
    /// Divides intervals and start periods of health checks; 1 leaves them as they are.
    pub fast_health: u32,
    /// Where the task lives; without one its containers are ordinary processes of this machine.
    pub sandbox: Option<Arc<Sandbox>>,
    /// What holds the task and its containers to `memory` and `cpu`; without it memory is looked at, and who
    /// holds too much is killed.
    pub groups: Option<Arc<Groups>>,
    /// Files and folders of this machine that a container's variables name, by container: it finds them where
    /// they are, and may write to them, whatever else it may not.
    pub kept: BTreeMap<String, Vec<PathBuf>>,
    /// What stands for `/etc/hosts` in every container, for names that lead out of the task.
    pub hosts: Option<PathBuf>,
    /// Folders of this machine for volumes that outlive the task, by volume; the others are made in `folder`.
    pub volumes: BTreeMap<String, PathBuf>,
}

/// A program that stands for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file to run.
    pub binary: PathBuf,
    /// Arguments before those of the definition.
    pub arguments: Vec<String>,
    /// Where to run it.
    pub folder: PathBuf,
    /// The image it is in; none for a program of this machine.
    pub image: Option<Image>,
}

impl Program {
    /// What an image runs for this container. As in Docker, an `entryPoint` takes the place of the image's own
    /// and of its command, a `command` that of its command only.
    pub fn of_image(image: Image, container: &ContainerDefinition) -> Self {
        let entry = [&container.entry_point, &image.entry_point];
        let entry = entry.into_iter().find(|words| !words.is_empty());
        let own = container.entry_point.is_empty().then_some(&image.command);
        let command = [Some(&container.command), own];
        let command = command.into_iter().flatten();
        let command = command.into_iter().find(|words| !words.is_empty());
        let mut words = entry.into_iter().chain(command).flatten().cloned();

        Self {
            binary: words.next().unwrap_or_default().into(),
            arguments: words.collect(),
            folder: container.working_directory.as_ref().map_or_else(
                || image.folder.clone(),
                |folder| Path::new("/").join(folder),
            ),
            image: Some(image),
        }
    }
}

/// Secret values by the name under which a definition asks for them; they never print.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

/// Why a task cannot even be begun.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The definition leaves no order to start or stop in.
    #[error("cannot run this definition: {}", list(.0))]
    Definition(Vec<SpecError>),
    /// Nothing stands for these containers' images.
    #[error("no program stands for {}; name one for each", list(.0))]
    Programs(Vec<String>),
    /// Names that are no names to ECS, and could lead out of the folder of a run.
    #[error("these names are not of letters, digits, `-` and `_`: {}; ECS takes no others", list(.0))]
    Names(Vec<String>),
    /// These users are nobody.
    #[error("there is no user {}; write a number, or a name that the image knows", list(.0))]
    Users(Vec<String>),
    /// Nobody said what these secrets are.
    #[error("these secrets have no value here: {}", list(.0))]
    Secrets(Vec<String>),
    /// A folder could not be made.
    #[error("cannot make the folder `{}`: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A log file could not be opened.
    #[error("cannot write logs to `{}`: {source}", folder.display())]
    Logs {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Whether containers and volumes have names that can stand for files and folders.
///
/// # Errors
///
/// [`RunError::Names`], with all that have not.
pub fn names(definition: &TaskDefinition) -> Result<(), RunError> {
    let containers = definition.container_definitions.iter();
    let volumes = definition.volumes.iter().map(|one| &one.name);
    let mounts = containers.clone().flat_map(|one| &one.mount_points);
    let sources = mounts.map(|mount| &mount.source_volume);
    let all = containers
        .map(|one| &one.name)
        .chain(volumes)
        .chain(sources);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let bad = all.filter(|name| name.is_empty() || name.len() > 255 || !name.chars().all(fits));
    let bad: BTreeSet<String> = bad.map(|name| format!("`{name}`")).collect();

    if bad.is_empty() {
        return Ok(());
    }
    Err(RunError::Names(bad.into_iter().collect()))
}

impl RunPlan {
    /// The rules' view of the definition, once everything needed is there.
    pub(crate) fn spec(&self) -> Result<Spec, RunError> {
        names(&self.definition)?;
        let spec = Spec::read(&self.definition).map_err(RunError::Definition)?;
        let containers = &self.definition.container_definitions;
        let homeless = containers
            .iter()
            .filter(|one| !self.programs.contains_key(&one.name));
        let homeless: Vec<_> = homeless.map(|one| format!("`{}`", one.name)).collect();

        if !homeless.is_empty() {
            return Err(RunError::Programs(homeless));
        }

        let wanted = containers
            .iter()
            .flat_map(|one| &one.secrets)
            .map(|one| &one.value_from);
        let missing: Vec<_> = wanted
            .filter(|name| !self.secrets.0.contains_key(*name))
            .collect();

        if !missing.is_empty() {
            return Err(RunError::Secrets(missing.into_iter().cloned().collect()));
        }

        let strangers = strangers(self);
        if !strangers.is_empty() {
            return Err(RunError::Users(strangers));
        }

        Ok(spec.with_fast_health(self.fast_health))
    }

    /// The folders that stand for volumes, and one to build mounts in.
    pub(crate) fn make_folders(&self) -> Result<(), RunError> {
        let containers = self.definition.container_definitions.iter();
        let volumes = containers
            .flat_map(|one| &one.mount_points)
            .map(|mount| &mount.source_volume);
        let own = volumes.filter(|name| !self.volumes.contains_key(*name));
        let own = own.map(|name| self.volume(name));
        let images = self.programs.iter();
        let images = images.filter(|(_, program)| program.image.is_some());
        let images = images.flat_map(|(name, _)| Layers::of(&self.folder, name).folders());

        for folder in own.chain(images).chain([self.folder.join("room")]) {
            fs::create_dir_all(&folder).map_err(|source| RunError::Folder { folder, source })?;
        }
        self.give_to_images()
    }

    /// The folder that stands for a volume.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        let kept = self.volumes.get(name).cloned();
        kept.unwrap_or_else(|| self.folder.join("volumes").join(name))
    }

    /// What a container that lives in an image may call its own.
    fn give_to_images(&self) -> Result<(), RunError> {
        for container in &self.definition.container_definitions {
            let program = self.programs.get(&container.name);
            let Some(image) = program.and_then(|program| program.image.as_ref()) else {
                continue;
            };
            let mounts = container.mount_points.iter();
            let volumes = mounts.map(|mount| self.volume(&mount.source_volume));
            let layers = Layers::of(&self.folder, &container.name).folders();

            for folder in [image.root.clone()]
                .into_iter()
                .chain(layers)
                .chain(volumes)
            {
                give_to_image(&folder).map_err(|source| RunError::Folder { folder, source })?;
            }
        }

        Ok(())
    }

    /// A container's whole environment: nothing of the caller's own gets in.
    pub(crate) fn environment_of(
        &self,
        container: &ContainerDefinition,
    ) -> BTreeMap<String, String> {
        let fixed = [
            ("PATH", PATH),
            ("HOME", "/"),
            ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"),
        ];
        let mut all: BTreeMap<_, _> = fixed.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let program = self.programs.get(&container.name);
        let image = program.and_then(|program| program.image.as_ref());

        all.extend(image.map(Image::variables).unwrap_or_default());
        all.extend(self.defaults.clone());
        all.extend(
            container
                .environment
                .iter()
                .map(|one| (one.name.clone(), one.value.clone())),
        );

        all.extend(container.secrets.iter().filter_map(|one| {
            Some((
                one.name.clone(),
                self.secrets.0.get(&one.value_from)?.clone(),
            ))
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
    /// Says what a secret is.
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

/// What an image without a PATH of its own gets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
