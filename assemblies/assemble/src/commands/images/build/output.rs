//! Writes images into their folders, unless they are there already.

use registry::layout::{Image, Layout, LayoutError, write as write_layout};
use registry::program::Draft;

use super::Settings;
use super::table::format_size;
use crate::error::CliError;
use crate::ui::Ui;

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
                "{} for {} is {} over its `image_budget` of {}: reduce the program, or raise the budget in its \
                 component.yaml",
                self.name,
                size.platform,
                format_size(size.compressed - budget),
                format_size(budget)
            )
        })
        .collect()
    }
}

/// Writes an image for all its platforms. An image that is in the folder already is not compressed again.
pub(super) fn write(
    settings: &Settings,
    name: &str,
    reference: &str,
    drafts: Vec<Draft>,
    ui: &Ui,
) -> Result<BuiltImage, CliError> {
    let folder = settings.folder.join(name);
    // Compared before compression: level 19 takes seconds for each image.
    let platforms: Vec<String> = drafts.iter().map(Draft::platform).collect();
    if let Some((digest, sizes)) = find_unchanged(&folder, reference, &drafts) {
        ui.message(&format!("{name} is up to date"));
        return Ok(new_image(name, digest, platforms, &sizes));
    }

    ui.message(&format!("compressing {name}"));
    let failed = |error: LayoutError| failure(name, &error);
    let images = drafts
        .into_iter()
        .map(Draft::compress)
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    let top = write_layout(&folder, reference, &images).map_err(failed)?;

    let sizes: Vec<u64> = images.iter().map(Image::compressed_size).collect();
    Ok(new_image(name, top.digest, platforms, &sizes))
}

/// Returns the digest and the sizes of the layers if the folder has exactly this image.
fn find_unchanged(
    folder: &std::path::Path,
    reference: &str,
    drafts: &[Draft],
) -> Option<(String, Vec<u64>)> {
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
    let found = drafts.iter().map(|draft| Some(draft.find_in(&layout)?.1));
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
