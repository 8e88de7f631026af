//! The documents that refer to blobs: descriptors, manifests and indexes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Media types of the OCI image specification, and of Docker images where we read them.
pub mod media_type {
    /// An image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An image configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// The same of a Docker image.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// A layer that is not compressed.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer compressed with gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer compressed with zstd.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// The configuration of an artifact without one: `{}`.
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// An SBOM in the JSON form of CycloneDX.
    pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
}

/// A reference to a blob by digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the blob.
    pub media_type: String,
    /// `sha256:…`.
    pub digest: String,
    /// Length of the blob in bytes.
    pub size: u64,
    /// Free-form facts, such as `org.opencontainers.image.ref.name` in an index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The platform of a manifest in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformFields>,
    /// The kind of a manifest that is no image, such as an SBOM, in a list of referrers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// Operating system and architecture, in the names of Go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlatformFields {
    /// `amd64` or `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
}

/// The manifest of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`]; Docker manifests have another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Facts about the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An index: the images of a layout, or the platforms of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Manifests, or further indexes.
    pub manifests: Vec<Descriptor>,
}

impl Descriptor {
    /// Returns the name of an image in the index of a layout.
    pub fn name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }

    /// Sets the name of an image in the index of a layout.
    pub(super) fn set_name(&mut self, name: &str) {
        let key = REF_NAME.to_owned();
        self.annotations.insert(key, name.to_owned());
    }
}

/// The annotation with the name of an image (OCI image specification 1.1, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";

impl Index {
    /// Returns an index of these manifests.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
        }
    }
}
