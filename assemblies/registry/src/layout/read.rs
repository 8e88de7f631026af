//! Reads a layout directory; every blob is verified before it is used.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::LayoutError;
use super::config::ImageConfig;
use super::descriptor::{Descriptor, ImageManifest, Index, PlatformFields};
use super::write::file;
use crate::digest::Digest;

/// A layout directory.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    index: Index,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens a layout and reads its index.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        let marker = fs::read(folder.join("oci-layout")).ok();
        let marker = marker.and_then(|text| serde_json::from_slice::<Marker>(&text).ok());
        if marker.is_none_or(|marker| marker.image_layout_version != "1.0.0") {
            return Err(LayoutError::NotALayout(folder.to_owned()));
        }

        let path = folder.join("index.json");
        let text = fs::read(&path).map_err(file("read", &path))?;
        let index = parse(&path, &text)?;
        Ok(Self {
            folder: folder.to_owned(),
            index,
        })
    }

    /// Returns the top-level index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the manifests of all platforms, nested indexes resolved.
    pub fn manifests(&self) -> Result<Vec<Descriptor>, LayoutError> {
        let mut manifests = Vec::new();
        for descriptor in &self.index.manifests {
            if !descriptor.media_type.contains("index")
                && !descriptor.media_type.contains("manifest.list")
            {
                manifests.push(descriptor.clone());
                continue;
            }

            // One level is what registries and builders write; deeper nesting is not followed.
            let nested: Index = self.document(descriptor)?;
            manifests.extend(nested.manifests);
        }

        Ok(manifests)
    }

    /// Returns the manifest and configuration for a platform such as `linux/amd64`.
    pub fn image(&self, platform: &str) -> Result<(ImageManifest, ImageConfig), LayoutError> {
        let mut available = Vec::new();
        for descriptor in self.manifests()? {
            let (manifest, config) = self.documents(&descriptor)?;
            let found = config.platform().name();
            if found == platform {
                return Ok((manifest, config));
            }
            available.push(found);
        }

        Err(LayoutError::NoPlatform {
            path: self.folder.clone(),
            platform: platform.to_owned(),
            available,
        })
    }

    /// Returns the manifest and configuration behind a manifest's descriptor.
    pub fn documents(
        &self,
        descriptor: &Descriptor,
    ) -> Result<(ImageManifest, ImageConfig), LayoutError> {
        let manifest: ImageManifest = self.document(descriptor)?;
        let config = self.document(&manifest.config)?;
        Ok((manifest, config))
    }

    /// Reads a blob and verifies its size and digest.
    pub fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        // Parsing the digest keeps `../` in a foreign manifest out of the path.
        let digest: Digest = descriptor
            .digest
            .parse()
            .map_err(|_| LayoutError::Path(descriptor.digest.clone()))?;
        let path = self.folder.join("blobs/sha256").join(digest.hex());

        let Ok(metadata) = fs::metadata(&path) else {
            return Err(LayoutError::MissingBlob {
                path: self.folder.clone(),
                digest,
            });
        };

        let altered = LayoutError::AlteredBlob {
            path: self.folder.clone(),
            digest: digest.clone(),
        };
        if metadata.len() != descriptor.size {
            return Err(altered);
        }

        let content = fs::read(&path).map_err(file("read", &path))?;
        if Digest::from_content(&content) == digest {
            Ok(content)
        } else {
            Err(altered)
        }
    }

    /// Verifies size and digest of a blob without keeping it in memory.
    pub fn verify(&self, descriptor: &Descriptor) -> Result<(), LayoutError> {
        let digest: Digest = descriptor
            .digest
            .parse()
            .map_err(|_| LayoutError::Path(descriptor.digest.clone()))?;
        let path = self.folder.join("blobs/sha256").join(digest.hex());

        match Digest::from_file(&path) {
            Ok((actual, size)) if actual == digest && size == descriptor.size => Ok(()),
            Ok(_) => Err(LayoutError::AlteredBlob {
                path: self.folder.clone(),
                digest,
            }),
            Err(_) => Err(LayoutError::MissingBlob {
                path: self.folder.clone(),
                digest,
            }),
        }
    }

    /// Reads a blob as JSON.
    fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, LayoutError> {
        let content = self.blob(descriptor)?;
        parse(&self.folder.join(&descriptor.digest), &content)
    }
}

impl PlatformFields {
    /// Returns `os/architecture`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }
}

pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(text).map_err(|source| LayoutError::Json {
        path: path.to_owned(),
        source,
    })
}
