//! `size --images`: how many images a task pulls, and how many bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ecs_rules::platform_of;
use registry::{BUILT_IMAGES, ImageSource, OpenedImage, Platform, format_bytes};
use serde_json::{Value, json};
use task_definition::{ImageReference, TaskDefinition};

use crate::error::CliError;
use crate::images::Images;
use crate::project::Project;
use crate::ui::Ui;

/// The images of a task, each once.
#[derive(Debug)]
pub(super) struct PulledImages {
    /// By reference: the compressed size, if the image could be read.
    sizes: BTreeMap<String, Option<u64>>,
    /// The sum of all layers, each once, if every image could be read.
    total: Option<u64>,
}

impl PulledImages {
    /// Reads the manifests of the images: of the layouts that were built here, else of their registries.
    pub(super) fn read(
        definition: &TaskDefinition,
        project: &Project,
        ui: &Ui,
    ) -> Result<Self, CliError> {
        let images = Images::new(project, ui)?;
        let platform = platform_of(definition);
        let (system, architecture) = platform.split_once('/').unwrap_or((&platform, ""));
        let platform = Platform::new(system, architecture);
        let (mut sizes, mut layers) = (BTreeMap::new(), BTreeMap::new());

        let containers = definition.container_definitions.iter();
        let names: BTreeSet<&str> = containers.map(|container| &*container.image).collect();
        for image in names {
            let opened = open(image, &platform, &images, project);
            let size = match opened {
                Ok(opened) => {
                    let found = opened.manifest().layers.iter();
                    layers.extend(found.map(|layer| (layer.digest.clone(), layer.size)));
                    Some(opened.compressed_bytes())
                }
                Err(error) => {
                    ui.message(&format!("the size of the images is not known: {error}"));
                    None
                }
            };
            sizes.insert(image.to_owned(), size);
        }

        // A layer that images share is pulled once.
        let is_known = sizes.values().all(Option::is_some);
        let sum = layers
            .values()
            .fold(0_u64, |sum, size| sum.saturating_add(*size));
        Ok(Self {
            sizes,
            total: is_known.then_some(sum),
        })
    }

    /// Adds the images to the output in both formats.
    pub(super) fn add_to(&self, (text, mut json): (String, Value)) -> (String, Value) {
        json["pull"] = self.json();
        (text + &self.text(), json)
    }

    /// Formats the number of images, with their sizes if all are known.
    fn text(&self) -> String {
        let count = match self.sizes.len() {
            1 => "1 image to pull".to_owned(),
            count => format!("{count} images to pull"),
        };
        let Some(total) = self.total else {
            return format!("\n{count}\n");
        };

        let mut text = format!("\n{count}, {} compressed\n", format_bytes(total));
        for (image, size) in &self.sizes {
            let size = format_bytes(size.unwrap_or_default());
            let _ = writeln!(text, "{size:>10}  {image}");
        }
        text
    }

    /// Formats the images as JSON.
    fn json(&self) -> Value {
        let images = self.sizes.iter();
        let images = images.map(|(image, size)| json!({ "image": image, "compressedBytes": size }));
        json!({ "images": images.collect::<Vec<_>>(), "compressedBytes": self.total })
    }
}

fn open(
    image: &str,
    platform: &Platform,
    images: &Images,
    project: &Project,
) -> Result<OpenedImage, CliError> {
    let name = ImageReference::parse(image).name();
    let folder = project.root().join(BUILT_IMAGES).join(name);
    let source = ImageSource::layout_or_registry(folder, image);
    let source = source.map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(images.open(&source, Some(platform))?)
}
