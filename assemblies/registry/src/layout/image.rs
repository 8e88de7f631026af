//! An image in memory: manifest, configuration and layers.

use std::collections::BTreeMap;

use super::base::BaseLayer;
use super::config::ImageConfig;
use super::descriptor::{Descriptor, ImageManifest, PlatformFields, media_type};
use super::layer::Layer;
use crate::digest::Digest;

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Image {
    manifest: Descriptor,
    blobs: Vec<(Descriptor, Vec<u8>)>,
    base: Vec<BaseLayer>,
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
        Self::from_parts(&[], to_json(&config), platform, layers, annotations)
    }

    /// Combines the layers of a base with further ones, under a configuration that names all of them.
    pub(crate) fn from_parts(
        base: &[BaseLayer],
        config: Vec<u8>,
        platform: PlatformFields,
        layers: Vec<Layer>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        let config_descriptor = Descriptor::from_content(media_type::CONFIG, &config);
        let manifest = to_json(&ImageManifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config: config_descriptor.clone(),
            layers: base
                .iter()
                .map(|layer| layer.descriptor.clone())
                .chain(layers.iter().map(|layer| layer.descriptor().clone()))
                .collect(),
            annotations,
        });
        let manifest_descriptor = Descriptor {
            platform: Some(platform),
            ..Descriptor::from_content(media_type::MANIFEST, &manifest)
        };

        let mut blobs: Vec<(Descriptor, Vec<u8>)> =
            layers.into_iter().map(Layer::into_parts).collect();
        blobs.push((config_descriptor, config));
        blobs.push((manifest_descriptor.clone(), manifest));

        Self {
            manifest: manifest_descriptor,
            blobs,
            base: base.to_vec(),
        }
    }

    /// Returns the descriptor of the manifest, with its platform.
    pub fn manifest(&self) -> &Descriptor {
        &self.manifest
    }

    /// Returns every blob in the order in which a registry accepts them: layers, configuration, manifest. The layers
    /// of a base image are files of its layout, and not among them.
    pub fn blobs(&self) -> &[(Descriptor, Vec<u8>)] {
        &self.blobs
    }

    /// Returns the layers of the base image.
    pub(super) fn base(&self) -> &[BaseLayer] {
        &self.base
    }

    /// Returns the compressed size of all layers, in bytes: what a task downloads.
    pub fn compressed_size(&self) -> u64 {
        let base: u64 = self.base.iter().map(|layer| layer.descriptor.size).sum();
        let added: u64 = self
            .blobs
            .iter()
            .filter(|(descriptor, _)| descriptor.media_type.contains(".layer."))
            .map(|(descriptor, _)| descriptor.size)
            .sum();
        base + added
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
pub(crate) fn to_json(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_default()
}
