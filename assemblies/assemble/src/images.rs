//! Reads images for the verbs that look into them: `images inspect`, `images sbom`, `check --images` and `size`.

use registry::{ImageReader, ImageSource, OpenedImage, Platform, PullLimits, ReadImageError};

use crate::error::CliError;
use crate::project::Project;
use crate::registries;
use crate::runtime;
use crate::ui::Ui;

/// Reads images; those of registries go through the user's store.
#[derive(Debug)]
pub(crate) struct Images {
    reader: ImageReader,
    runtime: tokio::runtime::Runtime,
    ui: Ui,
}

impl Images {
    pub(crate) fn new(project: &Project, ui: &Ui) -> Result<Self, CliError> {
        let reader = ImageReader::for_user(project.root());
        Ok(Self {
            reader: reader.with_logins(Some(registries::logins(ui))),
            runtime: runtime::new()?,
            ui: ui.clone(),
        })
    }

    /// Reads manifest and configuration.
    pub(crate) fn open(
        &self,
        source: &ImageSource,
        platform: Option<&Platform>,
    ) -> Result<OpenedImage, ReadImageError> {
        self.runtime.block_on(self.reader.open(source, platform))
    }

    /// Downloads the layers that are missing, with progress.
    pub(crate) fn fetch_layers(&self, image: &OpenedImage) -> Result<(), ReadImageError> {
        let report = |line: &str| self.ui.message(line);
        let limits = PullLimits::default();
        let fetched = self.reader.fetch_layers(image, limits, &report);
        self.runtime.block_on(fetched)
    }
}
