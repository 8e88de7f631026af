//! Writes images into their folders, unless they are there already.

use std::collections::BTreeMap;
use std::path::Path;

use registry::format_bytes;
use registry::layout::{
    Artifact, Descriptor, Image, Layout, LayoutError, media_type, write as write_layout,
    write_referrers,
};
use registry::program::Draft;

use super::{Settings, source_date};
use crate::error::CliError;
use crate::ui::Ui;

/// An image for one platform that is to be written.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) draft: Draft,
    /// The SBOM of its program.
    pub(super) sbom: Vec<u8>,
}

/// A written image.
#[derive(Debug)]
pub(super) struct BuiltImage {
    pub(super) name: String,
    /// Digest of the manifest, or of the index where there are several platforms.
    pub(super) digest: String,
    pub(super) platforms: Vec<PlatformSize>,
    /// The most compressed bytes.
    pub(super) budget: Option<u64>,
}

/// The size of an image for one platform.
#[derive(Debug)]
pub(super) struct PlatformSize {
    pub(super) platform: String,
    /// Bytes of the program.
    pub(super) program: u64,
    /// Bytes of all layers, compressed.
    pub(super) compressed: u64,
}

impl BuiltImage {
    /// Adds the sizes of the programs, in the order of the platforms, and the budget.
    pub(super) fn with_programs(mut self, programs: &[u64], budget: Option<u64>) -> Self {
        for (size, program) in self.platforms.iter_mut().zip(programs) {
            size.program = *program;
        }
        self.budget = budget;
        self
    }

    /// Returns a message for every platform that is over the budget.
    pub(super) fn excesses(&self) -> Vec<String> {
        let Some(budget) = self.budget else {
            return Vec::new();
        };

        let over = self
            .platforms
            .iter()
            .filter(|size| size.compressed > budget);
        over.map(|size| {
            format!(
                "{} for {} is {} over its `image_budget` of {}: reduce the program, or raise the budget",
                self.name,
                size.platform,
                format_bytes(size.compressed - budget),
                format_bytes(budget)
            )
        })
        .collect()
    }
}

/// Writes an image for all its platforms, with their SBOMs. An image that is in the folder already is not compressed
/// again.
pub(super) fn write(
    settings: &Settings,
    name: &str,
    reference: &str,
    variants: Vec<Variant>,
    ui: &Ui,
) -> Result<BuiltImage, CliError> {
    let folder = settings.folder.join(name);
    let failed = |error: LayoutError| failure(name, &error);
    let (drafts, sboms): (Vec<Draft>, Vec<Vec<u8>>) = variants
        .into_iter()
        .map(|variant| (variant.draft, variant.sbom))
        .unzip();
    let platforms: Vec<String> = drafts.iter().map(Draft::platform).collect();

    // Compared before compression: level 19 takes seconds for each image.
    let unchanged = find_unchanged(&folder, reference, &drafts);
    let (digest, manifests) = if let Some(unchanged) = unchanged {
        ui.message(&format!("{name} is up to date"));
        unchanged
    } else {
        ui.message(&format!("compressing {name}"));
        compress(&folder, reference, drafts).map_err(failed)?
    };

    // Also of an unchanged image: an earlier version wrote none, or another one.
    let subjects = manifests.iter().map(|(manifest, _)| manifest);
    let artifacts: Vec<Artifact> = subjects
        .zip(sboms)
        .map(|(subject, sbom)| artifact(subject, sbom, settings))
        .collect();
    write_referrers(&folder, &artifacts).map_err(failed)?;
    let sizes: Vec<u64> = manifests.iter().map(|(_, size)| *size).collect();
    Ok(new_image(name, digest, platforms, &sizes))
}

/// The digest of an image, and for each platform its manifest and the size of its layers.
type Written = (String, Vec<(Descriptor, u64)>);

/// Compresses the layers and writes the image.
fn compress(folder: &Path, reference: &str, drafts: Vec<Draft>) -> Result<Written, LayoutError> {
    let images = drafts
        .into_iter()
        .map(Draft::compress)
        .collect::<Result<Vec<_>, _>>()?;
    let top = write_layout(folder, reference, &images)?;
    let manifests = images
        .iter()
        .map(|image: &Image| (image.manifest().clone(), image.compressed_size()));
    Ok((top.digest, manifests.collect()))
}

/// Returns the SBOM as an artifact that refers to the manifest of the image.
fn artifact(subject: &Descriptor, sbom: Vec<u8>, settings: &Settings) -> Artifact {
    let created = settings.source_date.map(source_date::rfc3339);
    let created = created.map(|time| ("org.opencontainers.image.created".to_owned(), time));
    let annotations: BTreeMap<String, String> = created.into_iter().collect();
    Artifact {
        artifact_type: media_type::CYCLONEDX.to_owned(),
        subject: subject.clone(),
        content: sbom,
        annotations,
    }
}

/// Returns the image in the folder if it is exactly this one.
fn find_unchanged(folder: &Path, reference: &str, drafts: &[Draft]) -> Option<Written> {
    let layout = Layout::open(folder).ok()?;
    let [top] = layout.index().manifests.as_slice() else {
        return None;
    };
    let name = top.annotations.get("org.opencontainers.image.ref.name");
    let has_same_platforms = layout.manifests().ok()?.len() == drafts.len();
    if name.map(String::as_str) != Some(reference) || !has_same_platforms {
        return None;
    }

    // Each platform is compared by its configuration, and its blobs are verified.
    let found = drafts.iter().map(|draft| draft.find_in(&layout));
    Some((top.digest.clone(), found.collect::<Option<_>>()?))
}

fn new_image(name: &str, digest: String, platforms: Vec<String>, sizes: &[u64]) -> BuiltImage {
    let sizes = platforms.into_iter().zip(sizes);
    BuiltImage {
        name: name.to_owned(),
        digest,
        platforms: sizes
            .map(|(platform, compressed)| PlatformSize {
                platform,
                program: 0,
                compressed: *compressed,
            })
            .collect(),
        budget: None,
    }
}

/// Returns the error of an image that could not be written.
pub(super) fn failure(name: &str, error: &LayoutError) -> CliError {
    CliError::Usage(format!("cannot write the image `{name}`: {error}"))
}
