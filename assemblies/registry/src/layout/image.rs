//! An image in memory: manifest, configuration and layers.

use std::collections::BTreeMap;

use super::config::ImageConfig;
use super::descriptor::{Descriptor, ImageManifest, media_type};
use super::layer::Layer;
use crate::digest::Digest;

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    manifest: Descriptor,
    blobs: Vec<(Descriptor, Vec<u8>)>,
}

impl Image {
    /// Combines a configuration with layers, lowest first. The configuration's `rootfs` is replaced by theirs.
    pub fn new(
        mut config: ImageConfig,
        layers: Vec<Layer>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        config.rootfs.diff_ids = layers
            .iter()
            .map(|layer| layer.diff_id().to_string())
            .collect();
        let platform = config.platform();

        let config = to_json(&config);
        let config_descriptor = Descriptor::from_content(media_type::CONFIG, &config);
        let manifest = to_json(&ImageManifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config: config_descriptor.clone(),
            layers: layers
                .iter()
                .map(|layer| layer.descriptor().clone())
                .collect(),
            annotations,
        });
        let manifest_descriptor = Descriptor {
            platform: Some(platform),
            ..Descriptor::from_content(media_type::MANIFEST, &manifest)
        };

        let mut blobs: Vec<(Descriptor, Vec<u8>)> = layers
            .into_iter()
            .map(|layer| (layer.descriptor().clone(), layer.content().to_vec()))
            .collect();
        blobs.push((config_descriptor, config));
        blobs.push((manifest_descriptor.clone(), manifest));

        Self {
            manifest: manifest_descriptor,
            blobs,
        }
    }

    /// Returns the descriptor of the manifest, with its platform.
    pub fn manifest(&self) -> &Descriptor {
        &self.manifest
    }

    /// Returns every blob in the order in which a registry accepts them: layers, configuration, manifest.
    pub fn blobs(&self) -> &[(Descriptor, Vec<u8>)] {
        &self.blobs
    }

    /// Returns the compressed size of all layers, in bytes: what a task downloads.
    pub fn compressed_size(&self) -> u64 {
        self.blobs
            .iter()
            .filter(|(descriptor, _)| descriptor.media_type.contains(".layer."))
            .map(|(descriptor, _)| descriptor.size)
            .sum()
    }
}

impl Descriptor {
    /// Returns the descriptor of a blob with this content.
    pub fn from_content(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::from_content(content).to_string(),
            size: content.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// Serializes a document of this module, whose types have no map with keys other than strings.
pub(super) fn to_json(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}
