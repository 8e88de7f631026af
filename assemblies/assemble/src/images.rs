//! Reads images for `images inspect` and `check --images`.

use registry::{
    ImageReader, ImageSource, OpenedImage, Platform, PullLimits, PullProgress, ReadImageError,
    Store,
};

use crate::error::CliError;
use crate::project::Project;
use crate::runtime;
use crate::ui::Ui;

/// Reads images through the user's store.
#[derive(Debug)]
pub(crate) struct Images {
    reader: ImageReader,
    runtime: tokio::runtime::Runtime,
    ui: Ui,
}

impl Images {
    pub(crate) fn new(project: &Project, ui: &Ui) -> Result<Self, CliError> {
        let store = Store::open_for_user(project.root());
        let store = store.map_err(|error| CliError::Usage(error.to_string()))?;

        Ok(Self {
            reader: ImageReader::new(store),
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
        let report = |progress: PullProgress| {
            let (received, total) = (progress.received >> 20, progress.total >> 20);
            let source = image.source();
            self.ui
                .message(&format!("pulling {source}: {received} of {total} MiB"));
        };
        let limits = PullLimits::default();
        let fetched = self.reader.fetch_layers(image, limits, &report);
        self.runtime.block_on(fetched)
    }
}

/// Formats a number of bytes: `12.3 MiB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => {
            let tenths = bytes.saturating_mul(10) >> 20;
            format!("{}.{} MiB", tenths / 10, tenths % 10)
        }
    }
}
