//! An image before its layer is compressed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::layout::{
    BaseImage, BaseLayer, Compression, Descriptor, Image, ImageConfig, LayerArchive, Layout,
    LayoutError, PlatformFields, to_json,
};

/// An image before the seconds that its compression takes.
#[derive(Clone, Debug)]
pub struct Draft {
    base: Vec<BaseLayer>,
    config: Vec<u8>,
    platform: PlatformFields,
    archive: LayerArchive,
    annotations: BTreeMap<String, String>,
    compression: Compression,
}

impl Draft {
    pub(super) fn new(
        config: ImageConfig,
        archive: LayerArchive,
        annotations: BTreeMap<String, String>,
        compression: Compression,
    ) -> Self {
        Self {
            base: Vec::new(),
            platform: config.platform(),
            config: to_json(&config),
            archive,
            annotations,
            compression,
        }
    }

    pub(super) fn on_base(
        base: BaseImage,
        config: Map<String, Value>,
        archive: LayerArchive,
        annotations: BTreeMap<String, String>,
        compression: Compression,
    ) -> Self {
        Self {
            base: base.layers,
            platform: base.platform,
            config: to_json(&config),
            archive,
            annotations,
            compression,
        }
    }

    /// Returns the platform: `linux/amd64`.
    pub fn platform(&self) -> String {
        self.platform.name()
    }

    /// Compresses the layer.
    pub fn compress(self) -> Result<Image, LayoutError> {
        let layer = self.archive.compress(self.compression)?;
        Ok(Image::from_parts(
            &self.base,
            self.config,
            self.platform,
            vec![layer],
            self.annotations,
        ))
    }

    /// Returns the descriptor of this very image in a layout, and the size of its layers, if the layout has it
    /// completely.
    ///
    /// The configuration names the uncompressed layer by digest and the compression by version and level, so equal
    /// configurations mean equal images.
    pub fn find_in(&self, layout: &Layout) -> Option<(Descriptor, u64)> {
        let wanted = Digest::from_content(&self.config);
        let manifests = layout.manifests().ok()?;
        manifests.into_iter().find_map(|descriptor| {
            let (manifest, _) = layout.documents(&descriptor).ok()?;
            let is_same = manifest.config.digest == wanted.as_str()
                && manifest.annotations == self.annotations
                && manifest.layers.len() == self.base.len() + 1;
            let layers = manifest.layers.iter();
            // An altered blob is written again.
            let is_complete = is_same && layers.clone().all(|layer| layout.verify(layer).is_ok());
            is_complete.then(|| (descriptor, layers.map(|layer| layer.size).sum()))
        })
    }
}
