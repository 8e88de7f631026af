//! Manifests: an index of several platforms, or a single image.

use serde::Deserialize;

use crate::digest::Digest;

/// A resolved image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The digest of the index if there is one, so that each platform selects its variant.
    pub digest: Digest,
    /// The supported platforms, sorted.
    pub platforms: Vec<Platform>,
}

/// An operating system and an architecture, with Go's names: `linux/arm64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform(String);

impl Platform {
    /// Creates a platform; variants such as `v8` are omitted, since ECS cannot select one.
    pub fn new(system: &str, architecture: &str) -> Self {
        Self(format!("{system}/{architecture}"))
    }

    /// Returns the text: `linux/arm64`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The supported media types, in order of preference.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The relevant fields of an index or a manifest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Option<Vec<Entry>>,
    pub(crate) config: Option<Descriptor>,
}

/// A manifest in an index.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    platform: Option<PlatformFields>,
}

#[derive(Debug, Deserialize)]
struct PlatformFields {
    os: String,
    architecture: String,
}

/// A reference to a blob.
#[derive(Debug, Deserialize)]
pub(crate) struct Descriptor {
    pub(crate) digest: String,
}

/// The relevant fields of an image's config.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    os: Option<String>,
    architecture: Option<String>,
}

impl Manifest {
    /// Returns the platforms of an index, without attestations, which are `unknown/unknown`.
    pub(crate) fn platforms(&self) -> Vec<Platform> {
        // BuildKit stores attestations as manifests of the platform `unknown/unknown`.
        let entries = self.manifests.iter().flatten();
        let platforms = entries
            .filter_map(|entry| entry.platform.as_ref())
            .filter(|platform| is_word(&platform.os) && is_word(&platform.architecture))
            .filter(|platform| platform.os != "unknown")
            .map(|platform| Platform::new(&platform.os, &platform.architecture));
        let mut platforms: Vec<Platform> = platforms.collect();
        platforms.sort();
        platforms.dedup();
        platforms
    }
}

impl Config {
    /// Returns the platform, if the config has one.
    pub(crate) fn platform(&self) -> Option<Platform> {
        let (system, architecture) = (self.os.as_deref()?, self.architecture.as_deref()?);
        // The text comes from the registry and is written to a lock file.
        (is_word(system) && is_word(architecture)).then(|| Platform::new(system, architecture))
    }
}

/// Returns whether a text of the registry is a plain word; platforms are written to a file.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.chars().all(|c| c.is_ascii_alphanumeric())
}
