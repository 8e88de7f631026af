//! `check --images`: reads the images of a definition, for the rules about their content.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ecs_rules::{FolderOwner, ImageFacts, ImageFiles, InspectedImage, Inspection, platform_of};
use registry::layout::{FileEntry, FileKind, FileList, UnpackLimits};
use registry::{BUILT_IMAGES, ImageSource, OpenedImage, Platform};
use task_definition::{ContainerDefinition, ImageReference, TaskDefinition};

use crate::error::CliError;
use crate::images::Images;
use crate::project::Project;
use crate::ui::Ui;

mod advice;

/// Arguments for reading images.
#[derive(Debug, clap::Args)]
pub(super) struct ImageArguments {
    /// Read the images of all containers, and check their content too.
    #[arg(long)]
    images: bool,
    /// Read the image of a container from oci:FOLDER[:NAME], an archive (./FILE) or another reference.
    #[arg(long, value_name = "CONTAINER=SOURCE", value_parser = parse_choice, requires = "images")]
    image: Vec<(String, ImageSource)>,
    /// Directory with layouts to use before the registry, each named like its repository [default:
    /// `.assemble/images`].
    #[arg(long, value_name = "DIR", requires = "images")]
    images_from: Option<PathBuf>,
}

/// Reads the images of definitions, each once.
#[derive(Debug)]
pub(super) struct ImageInspector<'a> {
    arguments: &'a ImageArguments,
    layouts: PathBuf,
    images: Images,
    known: BTreeMap<(String, String), Inspection>,
    /// The names of all containers that were seen.
    containers: BTreeSet<String>,
}

impl<'a> ImageInspector<'a> {
    /// Returns `None` without `--images`.
    pub(super) fn new(
        arguments: &'a ImageArguments,
        project: &Project,
        ui: &Ui,
    ) -> Result<Option<Self>, CliError> {
        if !arguments.images {
            return Ok(None);
        }
        let default = || project.root().join(BUILT_IMAGES);
        Ok(Some(Self {
            arguments,
            layouts: arguments.images_from.clone().unwrap_or_else(default),
            images: Images::new(project, ui)?,
            known: BTreeMap::new(),
            containers: BTreeSet::new(),
        }))
    }

    /// Returns an error if `--image` names containers that no definition has: their images were not read.
    pub(super) fn unknown_containers(&self) -> Option<CliError> {
        let chosen = self.arguments.image.iter().map(|(name, _)| name);
        let unknown: BTreeSet<&str> = chosen
            .filter(|name| !self.containers.contains(*name))
            .map(String::as_str)
            .collect();
        if unknown.is_empty() {
            return None;
        }

        let list = |names: &mut dyn Iterator<Item = &str>| {
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            names.join(", ")
        };
        Some(CliError::Usage(format!(
            "--image names {}, but the containers are {}",
            list(&mut unknown.into_iter()),
            list(&mut self.containers.iter().map(String::as_str))
        )))
    }

    /// Adds what the images of a definition contain.
    pub(super) fn add(&mut self, definition: &TaskDefinition, facts: &mut ImageFacts) {
        let platform = platform_of(definition);
        for container in &definition.container_definitions {
            self.containers.insert(container.name.clone());
            if container.image.is_empty() {
                continue;
            }
            let inspection = match self.source(container) {
                Ok(source) => self.inspect(&source, &platform),
                Err(unread) => Inspection::Unread {
                    unread,
                    advice: Some("correct the image reference".to_owned()),
                },
            };
            facts.insert_inspection(Some(&container.name), container.image.clone(), inspection);
        }
    }

    fn source(&self, container: &ContainerDefinition) -> Result<ImageSource, String> {
        let mut choices = self.arguments.image.iter().rev();
        if let Some((_, source)) = choices.find(|(name, _)| *name == container.name) {
            return Ok(source.clone());
        }
        let name = ImageReference::parse(&container.image).name();
        let folder = self.layouts.join(name);
        ImageSource::layout_or_registry(folder, &container.image).map_err(|why| why.to_string())
    }

    fn inspect(&mut self, source: &ImageSource, platform: &str) -> Inspection {
        let key = (source.to_string(), platform.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let inspection = self.read(source, platform);
        self.known.insert(key, inspection.clone());
        inspection
    }

    fn read(&self, source: &ImageSource, platform: &str) -> Inspection {
        let (system, architecture) = platform.split_once('/').unwrap_or((platform, ""));
        let wanted = Platform::new(system, architecture);
        let opened = self.images.open(source, Some(&wanted));
        // With another platform only, the image can be read all the same; a rule reports the platform.
        let opened = opened.or_else(|error| self.images.open(source, None).map_err(|_| error));
        let image = match opened {
            Ok(image) => image,
            Err(error) => {
                return Inspection::Unread {
                    unread: error.to_string(),
                    advice: Some(advice::for_error(&error).to_owned()),
                };
            }
        };

        let files = self
            .images
            .fetch_layers(&image)
            .and_then(|()| image.files(LIMITS));
        let mut inspected = describe(&image);
        match files {
            Ok(files) => inspected.files = Some(summarize(&files)),
            Err(error) => {
                inspected.unread_files = Some(error.to_string());
                inspected.unread_files_advice = Some(advice::for_error(&error).to_owned());
            }
        }
        Inspection::Read(Box::new(inspected))
    }
}

/// Bounds reading: no image that fits a task is larger, and half a million paths need about 100 MB of memory.
const LIMITS: UnpackLimits = UnpackLimits {
    max_bytes: 16 << 30,
    max_entries: 500_000,
};

fn describe(image: &OpenedImage) -> InspectedImage {
    let config = &image.config().config;
    let path = config
        .env
        .iter()
        .find_map(|text| text.strip_prefix("PATH="));
    InspectedImage {
        platforms: image.platforms().iter().map(ToString::to_string).collect(),
        compressed_bytes: image.compressed_bytes(),
        user: config.user.clone(),
        entry_point: config.entrypoint.clone(),
        command: config.cmd.clone(),
        working_directory: config.working_dir.clone(),
        path: path.map(str::to_owned),
        exposed_ports: config.exposed_ports.keys().cloned().collect(),
        volumes: config.volumes.keys().cloned().collect(),
        files: None,
        unread_files: None,
        unread_files_advice: None,
    }
}

/// Keeps the files that rules use: programs, directories, links to both, and users.
fn summarize(files: &FileList) -> ImageFiles {
    let mut summary = ImageFiles::default();
    let text = |path: &Path| format!("/{}", path.display());
    for (path, entry) in files.iter() {
        let target = match &entry.kind {
            FileKind::Link(_) => files.get(path),
            _ => Some(entry),
        };
        match (target, &entry.kind) {
            (
                Some(FileEntry {
                    kind: FileKind::Directory,
                    ..
                }),
                FileKind::Link(_),
            ) => {
                if let Some(target) = files.resolve(path) {
                    summary.links.insert(text(path), text(&target));
                }
            }
            (
                Some(
                    folder @ FileEntry {
                        kind: FileKind::Directory,
                        ..
                    },
                ),
                _,
            ) => {
                let owner = FolderOwner {
                    user: folder.owner.0,
                    group: folder.owner.1,
                    mode: folder.mode,
                };
                summary.folders.insert(text(path), owner);
            }
            (Some(file), _) if file.mode & 0o111 != 0 => {
                summary.programs.insert(text(path));
            }
            _ => {}
        }
    }

    let users = files.passwd().lines().filter_map(|line| {
        // Name, password, uid.
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name.to_owned(), fields.nth(1)?.parse().ok()?))
    });
    summary.users = users.collect();
    summary
}

/// Parses `CONTAINER=SOURCE`.
fn parse_choice(text: &str) -> Result<(String, ImageSource), String> {
    let (container, source) = text
        .split_once('=')
        .ok_or("expected CONTAINER=SOURCE, such as app=oci:out/app")?;
    let source = source.parse();
    let source = source.map_err(|why: registry::ParseSourceError| why.to_string())?;
    Ok((container.to_owned(), source))
}
