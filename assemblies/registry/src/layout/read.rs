//! Reads a layout directory; every blob is verified before it is used.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::LayoutError;
use super::config::ImageConfig;
use super::descriptor::{Descriptor, ImageManifest, Index, PlatformFields};
use super::write::file;
use crate::digest::{Digest, Hasher};

/// A layout directory.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    index: Index,
    /// What errors name: the folder, or the archive that was unpacked into it.
    label: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens a layout and reads its index.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        Self::open_as(folder, folder)
    }

    /// Opens a layout; errors name `label` instead of the folder.
    pub(super) fn open_as(folder: &Path, label: &Path) -> Result<Self, LayoutError> {
        let marker = read_document(&folder.join("oci-layout"), label).ok();
        let marker = marker.and_then(|text| serde_json::from_slice::<Marker>(&text).ok());
        if marker.is_none_or(|marker| marker.image_layout_version != "1.0.0") {
            return Err(LayoutError::NotALayout(label.to_owned()));
        }

        let shown = label.join("index.json");
        let text = read_document(&folder.join("index.json"), &shown)?;
        let index = parse(&shown, &text)?;
        Ok(Self {
            folder: folder.to_owned(),
            index,
            label: label.to_owned(),
        })
    }

    /// Returns a layout whose blobs are in a directory, and whose index is not.
    pub(crate) fn with_index(folder: PathBuf, index: Index) -> Self {
        Self {
            label: folder.clone(),
            folder,
            index,
        }
    }

    /// Returns the layout with what errors name instead of the folder.
    pub(crate) fn with_label(mut self, label: &Path) -> Self {
        label.clone_into(&mut self.label);
        self
    }

    /// Returns the folder, or the archive that was unpacked into it.
    pub(crate) fn label(&self) -> &Path {
        &self.label
    }

    /// Returns the layout with only the image of this name; without a name, it must have one image.
    pub fn choose(mut self, name: Option<&str>) -> Result<Self, LayoutError> {
        let names = self.names();
        let path = || self.label.clone();
        if let Some(name) = name {
            if !names.iter().any(|known| known == name) {
                let (path, name) = (path(), name.to_owned());
                return Err(LayoutError::NoName { path, name, names });
            }
            let is_wanted = |entry: &Descriptor| entry.name() == Some(name);
            self.index.manifests.retain(is_wanted);
            return Ok(self);
        }

        // One image can have several names. Entries without names are the platforms of one image, as docker buildx
        // writes them.
        let mut known = BTreeSet::new();
        let manifests = &mut self.index.manifests;
        manifests.retain(|entry| known.insert(entry.digest.clone()));
        let images = manifests.iter().filter(|entry| entry.name().is_some());
        if images.count() > 1 {
            let path = self.label;
            return Err(LayoutError::SeveralImages { path, names });
        }
        Ok(self)
    }

    /// Returns the names of the images.
    pub fn names(&self) -> Vec<String> {
        let names = self.index.manifests.iter().filter_map(Descriptor::name);
        names.map(str::to_owned).collect()
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
            path: self.label.clone(),
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
        let mut reader = self.reader(descriptor)?;
        let mut content = Vec::new();
        let read = reader.read_to_end(&mut content);
        read.map_err(file("read", &self.label))?;
        reader.finish()?;
        Ok(content)
    }

    /// Opens a blob; its size is verified now, its digest by [`BlobReader::finish`].
    pub fn reader(&self, descriptor: &Descriptor) -> Result<BlobReader, LayoutError> {
        // Parsing the digest keeps `../` in a foreign manifest out of the path.
        let digest: Digest = descriptor
            .digest
            .parse()
            .map_err(|_| LayoutError::Path(descriptor.digest.clone()))?;
        let path = self.folder.join("blobs/sha256").join(digest.hex());

        let opened = open_file(&path).and_then(|blob| Ok((blob.metadata()?, blob)));
        let Ok((metadata, blob)) = opened else {
            return Err(LayoutError::MissingBlob {
                path: self.label.clone(),
                digest,
            });
        };

        if metadata.is_file() && metadata.len() == descriptor.size {
            return Ok(BlobReader {
                blob,
                hasher: Hasher::default(),
                digest,
                folder: self.label.clone(),
            });
        }
        Err(LayoutError::AlteredBlob {
            path: self.label.clone(),
            digest,
        })
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
                path: self.label.clone(),
                digest,
            }),
            Err(_) => Err(LayoutError::MissingBlob {
                path: self.label.clone(),
                digest,
            }),
        }
    }

    /// Reads a blob as JSON.
    pub(crate) fn document<T: DeserializeOwned>(
        &self,
        descriptor: &Descriptor,
    ) -> Result<T, LayoutError> {
        if descriptor.size > MAX_DOCUMENT_BYTES {
            let path = self.label.join(&descriptor.digest);
            return Err(LayoutError::DocumentTooLarge(path));
        }
        let content = self.blob(descriptor)?;
        parse(&self.label.join(&descriptor.digest), &content)
    }
}

/// Reads a blob and computes its digest on the way.
#[derive(Debug)]
pub struct BlobReader {
    blob: File,
    hasher: Hasher,
    digest: Digest,
    folder: PathBuf,
}

impl BlobReader {
    /// Reads the rest and compares the digest of everything with that of the descriptor.
    pub fn finish(mut self) -> Result<(), LayoutError> {
        io::copy(&mut self, &mut io::sink()).map_err(file("read", &self.folder.clone()))?;
        if self.hasher.finish() == self.digest {
            return Ok(());
        }
        Err(LayoutError::AlteredBlob {
            path: self.folder,
            digest: self.digest,
        })
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.blob.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

impl PlatformFields {
    /// Returns `os/architecture`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }
}

/// Opens a regular file. Opening a named pipe would wait for its writer.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// Reads a document that is not addressed by digest, within the size limit; errors name `label`.
pub(super) fn read_document(path: &Path, label: &Path) -> Result<Vec<u8>, LayoutError> {
    let mut text = Vec::new();
    let opened = open_file(path).map_err(file("read", label))?;
    let read = opened.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut text);
    read.map_err(file("read", label))?;
    if text.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(LayoutError::DocumentTooLarge(label.to_owned()));
    }
    Ok(text)
}

/// Registries limit manifests to 4 MiB (OCI distribution specification 1.1, "Pushing Manifests").
pub(super) const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(text).map_err(|source| LayoutError::Json {
        path: path.to_owned(),
        source,
    })
}
