//! `up --image` and `--images`: runs containers from the files of their images, without a container engine.
//!
//! An image comes from a layout, an archive or a registry. It is unpacked once per digest into the user's store, and
//! its program runs in the task's namespaces, under its limits and in its stop order, as PID 1 of its container.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use registry::{
    BUILT_IMAGES, ImageReader, ImageSource, OpenedImage, Platform, PullLimits, UnpackedImage,
};
use task_definition::{ContainerDefinition, ImageReference, TaskDefinition};
use task_runner::{Image, Program};

use crate::Error;
use crate::Messages;
use crate::Options;
use crate::Project;

/// An argument of `--image`: `CONTAINER[=SOURCE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChoice {
    pub(super) container: String,
    /// `None` is the image of the definition.
    source: Option<ImageSource>,
}

/// Parses `--image`.
pub fn parse_choice(text: &str) -> Result<ImageChoice, String> {
    let (container, source) = match text.split_once('=') {
        Some((container, source)) => (container, Some(source)),
        None => (text, None),
    };
    if let Some(engine @ ("podman" | "docker")) = source {
        return Err(format!(
            "images are read without {engine}; write `--image {container}` for the image of the definition, or an \
             archive of `{engine} save` as ./FILE"
        ));
    }

    let source = source.map(str::parse).transpose();
    Ok(ImageChoice {
        container: container.to_owned(),
        source: source.map_err(|why: registry::ParseSourceError| why.to_string())?,
    })
}

/// Adds every container to the options that neither has an image nor is replaced: `--images`.
pub(super) fn choose_all(options: &mut Options, definition: &TaskDefinition) {
    if !options.all_images {
        return;
    }
    for container in &definition.container_definitions {
        let name = &container.name;
        let is_replaced = options.skip.contains(name)
            || options.program.iter().any(|(program, _)| program == name)
            || options.stub.iter().any(|stub| stub.container == *name)
            || options.image.iter().any(|choice| choice.container == *name);
        if !is_replaced {
            options.image.push(ImageChoice {
                container: name.clone(),
                source: None,
            });
        }
    }
}

/// The programs of images. The images stay in the store as long as this value exists.
#[derive(Debug, Default)]
pub(super) struct ImagePrograms {
    pub(super) programs: BTreeMap<String, Program>,
    pub(super) images: Vec<UnpackedImage>,
}

/// Returns the programs of the chosen containers. All errors are reported together.
pub(super) fn programs(
    definition: &TaskDefinition,
    options: &Options,
    sandboxed: bool,
    project: &Project,
    ui: &dyn Messages,
) -> Result<ImagePrograms, Error> {
    let choice_for = |container: &ContainerDefinition| {
        let mut choices = options.image.iter().rev();
        choices.find(|choice| choice.container == container.name)
    };
    let chosen: Vec<_> = definition
        .container_definitions
        .iter()
        .filter_map(|container| Some((container, choice_for(container)?)))
        .collect();
    let mut found = ImagePrograms::default();
    if chosen.is_empty() {
        return Ok(found);
    }

    let mut errors = Vec::new();
    match Loader::new(sandboxed, options, project, ui) {
        Ok(mut loader) => {
            for (container, choice) in chosen {
                let name = &container.name;
                let source = source_of(container, choice, project);
                let image = source.and_then(|source| loader.load(&source));
                match image.map(|image| Program::from_image(image, container)) {
                    Ok(program) if program.binary.as_os_str().is_empty() => errors.push(format!(
                        "`{name}`: the image has no command; set `command` or `entryPoint` in the definition"
                    )),
                    Ok(program) => drop(found.programs.insert(name.clone(), program)),
                    Err(why) => errors.push(format!("`{name}`: {why}")),
                }
            }
            found.images = loader.unpacked;
        }
        Err(why) => errors.push(why),
    }

    if errors.is_empty() {
        return Ok(found);
    }
    let errors = errors.join("\n  ");
    let message =
        format!("cannot run these images; use `--program CONTAINER=FILE` instead:\n  {errors}");
    Err(Error::Program {
        message,
        code: NOT_FOUND,
    })
}

/// Returns where the image of a container comes from: the choice, else a layout that was built here, else its registry.
fn source_of(
    container: &ContainerDefinition,
    choice: &ImageChoice,
    project: &Project,
) -> Result<ImageSource, String> {
    if let Some(source) = &choice.source {
        return Ok(source.clone());
    }
    let name = ImageReference::parse(&container.image).name();
    let folder = project.root().join(BUILT_IMAGES).join(name);
    ImageSource::layout_or_registry(folder, &container.image).map_err(|why| why.to_string())
}

/// Reads and unpacks images, each once per run.
struct Loader<'u> {
    reader: ImageReader,
    runtime: tokio::runtime::Runtime,
    loaded: BTreeMap<String, Result<Image, String>>,
    unpacked: Vec<UnpackedImage>,
    ui: &'u dyn Messages,
}

impl<'u> Loader<'u> {
    fn new(
        sandboxed: bool,
        options: &Options,
        project: &Project,
        ui: &'u dyn Messages,
    ) -> Result<Self, String> {
        if !sandboxed {
            return Err(
                "running an image needs mount namespaces, which this host does not allow"
                    .to_owned(),
            );
        }
        let reader = ImageReader::for_user(project.root());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| format!("cannot start the async runtime: {why}"))?;

        Ok(Self {
            reader: reader.with_logins(options.logins.clone()),
            runtime,
            loaded: BTreeMap::new(),
            unpacked: Vec::new(),
            ui,
        })
    }

    fn load(&mut self, source: &ImageSource) -> Result<Image, String> {
        let key = source.to_string();
        if let Some(known) = self.loaded.get(&key) {
            return known.clone();
        }
        let image = self.load_new(source).map_err(|why| why.to_string());
        self.loaded.insert(key, image.clone());
        image
    }

    fn load_new(&mut self, source: &ImageSource) -> Result<Image, registry::ReadImageError> {
        let platform = host_platform();
        let image = self
            .runtime
            .block_on(self.reader.open(source, Some(&platform)))?;
        let store = self.reader.store()?;
        let unpacked = match store.find_unpacked(image.manifest_digest())? {
            Some(unpacked) => unpacked,
            None => self.unpack(source, &image)?,
        };

        let root = unpacked.folder().to_owned();
        self.unpacked.push(unpacked);
        Ok(to_image(&image, &root))
    }

    fn unpack(
        &self,
        source: &ImageSource,
        image: &OpenedImage,
    ) -> Result<UnpackedImage, registry::ReadImageError> {
        let report = |line: &str| self.ui.message(line);
        let fetched = self
            .reader
            .fetch_layers(image, PullLimits::default(), &report);
        self.runtime.block_on(fetched)?;

        self.ui.message(&format!("unpacking {source} (once)"));
        let chown_root = |folder: &Path| match task_runner::image_owner(0, 0) {
            Some((user, group)) => std::os::unix::fs::chown(folder, Some(user), Some(group)),
            None => io::Result::Ok(()),
        };
        self.reader
            .unpack(image, &task_runner::image_owner, chown_root)
    }
}

/// Returns what the runner needs to know about an unpacked image.
fn to_image(image: &OpenedImage, root: &Path) -> Image {
    let config = &image.config().config;
    let variables = config
        .env
        .iter()
        .filter_map(|variable| variable.split_once('='));
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());

    Image {
        root: root.to_owned(),
        entry_point: config.entrypoint.clone(),
        command: config.cmd.clone(),
        environment: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        folder: Path::new("/").join(&config.working_dir),
        user: given(&config.user),
        volumes: config.volumes.keys().cloned().collect(),
        stop_signal: given(&config.stop_signal),
    }
}

/// Returns the platform of this host, the only one whose programs run here.
fn host_platform() -> Platform {
    // The names of Go, which images use (OCI image specification, image-index.md).
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform::new("linux", architecture)
}

const NOT_FOUND: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_container_with_and_without_a_source() {
        let chosen = parse_choice("agent=oci:out/agent").unwrap();
        assert_eq!(chosen.container, "agent");
        assert_eq!(chosen.source.unwrap().to_string(), "oci:out/agent");
        assert_eq!(parse_choice("agent").unwrap().source, None);
        assert!(parse_choice("agent=A B").is_err());
    }

    #[test]
    fn names_what_replaces_an_engine() {
        for engine in ["podman", "docker"] {
            let error = parse_choice(&format!("agent={engine}")).unwrap_err();
            assert!(error.contains("`--image agent`"), "{error}");
        }
        // An image of that name can still be meant.
        assert!(parse_choice("agent=docker:27").is_ok());
    }
}
