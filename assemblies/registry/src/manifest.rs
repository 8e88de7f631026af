//! What a registry says about an image: an index of variants, or one image.

use serde::Deserialize;

use crate::digest::Digest;

/// The image a tag stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The hash of the index where there is one, so that every platform finds its variant.
    pub digest: Digest,
    /// What it runs on, sorted.
    pub platforms: Vec<Platform>,
}

/// A system and an architecture, in the words of Go: `linux/arm64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform(String);

impl Platform {
    /// `linux/amd64`; a variant such as `v8` is left out, since ECS cannot ask for one.
    pub fn new(system: &str, architecture: &str) -> Self {
        Self(format!("{system}/{architecture}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the client says that it understands, in the order of preference.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Any manifest: the fields of both kinds that matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    pub(crate) media_type: Option<String>,
    pub(crate) manifests: Option<Vec<Entry>>,
    pub(crate) config: Option<Descriptor>,
}

/// A variant in an index.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    platform: Option<PlatformFields>,
}

#[derive(Debug, Deserialize)]
struct PlatformFields {
    os: String,
    architecture: String,
}

/// Where the rest is.
#[derive(Debug, Deserialize)]
pub(crate) struct Descriptor {
    pub(crate) digest: String,
}

/// The image's own description, of which the platform matters.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    os: Option<String>,
    architecture: Option<String>,
}

impl Manifest {
    /// The platforms of an index; attestations stand there as `unknown/unknown`.
    pub(crate) fn platforms(&self) -> Vec<Platform> {
        let entries = self.manifests.iter().flatten();
        let known = entries
            .filter_map(|entry| entry.platform.as_ref())
            .filter(|platform| is_word(&platform.os) && is_word(&platform.architecture))
            .filter(|platform| platform.os != "unknown")
            .map(|platform| Platform::new(&platform.os, &platform.architecture));
        let mut platforms: Vec<Platform> = known.collect();
        platforms.sort();
        platforms.dedup();
        platforms
    }
}

impl Config {
    /// The platform, if the image says.
    pub(crate) fn platform(&self) -> Option<Platform> {
        let (system, architecture) = (self.os.as_deref()?, self.architecture.as_deref()?);
        (is_word(system) && is_word(architecture)).then(|| Platform::new(system, architecture))
    }
}

/// Platforms end up in a file, so a stranger's text must be a word.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.chars().all(|c| c.is_ascii_alphanumeric())
}
