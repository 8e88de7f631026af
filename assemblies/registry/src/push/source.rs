//! What to push: the documents and blobs of a layout, in the order in which a registry accepts them.

use std::path::PathBuf;

use bytes::Bytes;
use serde::Deserialize;

use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::layout::{Descriptor, Layout, LayoutError};
use crate::manifest::{Config, Manifest, Platform};

/// The content of a push.
#[derive(Debug)]
pub(super) struct Source {
    /// The manifests and indexes, each after those that it refers to.
    manifests: Vec<ManifestBlob>,
    /// The layers and configurations, each once.
    pub(super) blobs: Vec<FileBlob>,
    /// The platforms of the image, sorted.
    pub(super) platforms: Vec<Platform>,
}

/// A manifest or index.
#[derive(Clone, Debug)]
pub(super) struct ManifestBlob {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) content: Bytes,
}

/// A layer or configuration, which stays in its file.
#[derive(Clone, Debug)]
pub(super) struct FileBlob {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) path: PathBuf,
    layout: PathBuf,
}

/// The references of a manifest or index to other blobs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct References {
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Source {
    /// Reads the documents of a layout with one image, and checks that its blobs exist.
    pub(super) fn read(layout: &Layout) -> Result<Self, ErrorKind> {
        let [top] = &layout.index().manifests[..] else {
            let count = layout.index().manifests.len();
            return Err(unsupported_error(
                layout,
                &format!("{count} images instead of one"),
            ));
        };

        let mut source = Self {
            manifests: Vec::new(),
            blobs: Vec::new(),
            platforms: Vec::new(),
        };
        source.visit(layout, top, 0)?;
        source.platforms = source.read_platforms(layout)?;
        Ok(source)
    }

    /// Returns the manifest or index that gets the tag.
    #[expect(clippy::expect_used, reason = "`read` adds the top manifest, or fails")]
    pub(super) fn top(&self) -> &ManifestBlob {
        self.manifests.last().expect("a layout has an image")
    }

    /// Returns the other manifests, each before those that refer to it.
    pub(super) fn children(&self) -> &[ManifestBlob] {
        let (_, children) = self.manifests.split_last().unzip();
        children.unwrap_or_default()
    }

    /// Returns the size of all blobs, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }

    /// Adds a manifest after everything that it refers to.
    fn visit(
        &mut self,
        layout: &Layout,
        descriptor: &Descriptor,
        depth: usize,
    ) -> Result<(), ErrorKind> {
        if descriptor.size > MAX_MANIFEST_BYTES {
            return Err(unsupported_error(layout, "a manifest of more than 4 MiB"));
        }
        // Bounds the recursion as well: an index can refer to indexes.
        if depth > MAX_DEPTH || self.manifests.len() >= MAX_MANIFESTS {
            return Err(unsupported_error(layout, "more indexes than an image has"));
        }

        let content = layout.blob(descriptor)?;
        let references: References = serde_json::from_slice(&content).map_err(|source| {
            let path = layout.folder().join(&descriptor.digest);
            LayoutError::Json { path, source }
        })?;
        for child in &references.manifests {
            self.visit(layout, child, depth + 1)?;
        }
        for blob in references.config.iter().chain(&references.layers) {
            self.add_blob(layout, blob)?;
        }

        let digest = parse_digest(descriptor)?;
        if self.manifests.iter().all(|known| known.digest != digest) {
            let media_type = references.media_type;
            self.manifests.push(ManifestBlob {
                digest,
                // Optional in OCI manifests; the descriptor always has it.
                media_type: media_type.unwrap_or_else(|| descriptor.media_type.clone()),
                content: content.into(),
            });
        }

        Ok(())
    }

    /// Adds a blob. Its size is compared here, before anything is sent, and its content when it is uploaded.
    fn add_blob(&mut self, layout: &Layout, descriptor: &Descriptor) -> Result<(), ErrorKind> {
        let digest = parse_digest(descriptor)?;
        if self.blobs.iter().any(|known| known.digest == digest) {
            return Ok(());
        }
        if self.blobs.len() >= MAX_BLOBS {
            return Err(unsupported_error(layout, "more layers than an image has"));
        }

        let blob = FileBlob {
            path: layout.folder().join("blobs/sha256").join(digest.hex()),
            size: descriptor.size,
            layout: layout.folder().to_owned(),
            digest,
        };
        match std::fs::metadata(&blob.path) {
            Ok(metadata) if metadata.len() == blob.size => {}
            Ok(_) => return Err(blob.altered_error()),
            Err(_) => {
                let (path, digest) = (blob.layout, blob.digest);
                return Err(LayoutError::MissingBlob { path, digest }.into());
            }
        }

        self.blobs.push(blob);
        Ok(())
    }

    /// Returns the platforms in the same way as for an image in a registry, so that a lock file has the same ones.
    fn read_platforms(&self, layout: &Layout) -> Result<Vec<Platform>, ErrorKind> {
        let invalid = |source| LayoutError::Json {
            path: layout.folder().join(self.top().digest.as_str()),
            source,
        };
        let manifest: Manifest = serde_json::from_slice(&self.top().content).map_err(invalid)?;
        let Some(config) = &manifest.config else {
            return Ok(manifest.platforms());
        };

        let found = self
            .blobs
            .iter()
            .find(|blob| blob.digest.as_str() == config.digest);
        let Some(blob) = found.filter(|blob| blob.size <= MAX_MANIFEST_BYTES) else {
            return Err(unsupported_error(
                layout,
                "a configuration of more than 4 MiB",
            ));
        };
        let content = std::fs::read(&blob.path).map_err(|error| blob.unreadable(error))?;
        let config: Config = serde_json::from_slice(&content).map_err(invalid)?;

        Ok(config.platform().into_iter().collect())
    }
}

impl FileBlob {
    /// Fails if the content has another digest or size.
    pub(super) fn verify(&self) -> Result<(), ErrorKind> {
        let (digest, size) =
            Digest::from_file(&self.path).map_err(|error| self.unreadable(error))?;
        if digest == self.digest && size == self.size {
            Ok(())
        } else {
            Err(self.altered_error())
        }
    }

    fn altered_error(&self) -> ErrorKind {
        let (path, digest) = (self.layout.clone(), self.digest.clone());
        LayoutError::AlteredBlob { path, digest }.into()
    }

    pub(super) fn unreadable(&self, source: std::io::Error) -> ErrorKind {
        let (action, path) = ("read", self.path.clone());
        LayoutError::File {
            action,
            path,
            source,
        }
        .into()
    }
}

fn parse_digest(descriptor: &Descriptor) -> Result<Digest, ErrorKind> {
    // Parsing keeps `../` in a foreign manifest out of the path.
    let digest = descriptor.digest.parse();
    digest.map_err(|_| LayoutError::Path(descriptor.digest.clone()).into())
}

fn unsupported_error(layout: &Layout, reason: &str) -> ErrorKind {
    ErrorKind::UnsupportedLayout {
        path: layout.folder().to_owned(),
        reason: reason.to_owned(),
    }
}

/// The limit that the OCI distribution specification recommends to registries.
const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// An index of indexes is allowed by the specification; deeper nesting is unknown.
const MAX_DEPTH: usize = 3;
const MAX_MANIFESTS: usize = 100;
const MAX_BLOBS: usize = 1_000;
