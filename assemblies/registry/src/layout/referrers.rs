//! Artifacts that describe an image, such as its SBOM: manifests with the image as their `subject`.
//!
//! They are in the folder `referrers` of the layout of the image, which is a layout as well. Its `index.json` is the list
//! that the referrers API of a registry returns. `index.json` of the image's own layout keeps one entry, since skopeo and
//! other tools refuse to choose among several. Format: OCI image specification 1.1, manifest.md, "Guidelines for
//! Artifact Usage".

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LayoutError;
use super::descriptor::{Descriptor, Index, media_type};
use super::image::to_json;
use super::read::{Layout, MAX_DOCUMENT_BYTES};
use super::write::{file, hex, remove_others, write_blob, write_index};

/// The manifest of an artifact: one document, and the image that it describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactManifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The kind of the artifact: [`media_type::CYCLONEDX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// [`media_type::EMPTY`].
    pub config: Descriptor,
    /// The document.
    pub layers: Vec<Descriptor>,
    /// The manifest that the artifact describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Facts about the artifact.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A document that describes an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The kind and media type of the document: [`media_type::CYCLONEDX`].
    pub artifact_type: String,
    /// The manifest of the image.
    pub subject: Descriptor,
    /// The document.
    pub content: Vec<u8>,
    /// Facts about the artifact, which registries list with it.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Returns the manifest, and its entry in a list of referrers.
    fn manifest(&self) -> (Descriptor, Vec<u8>) {
        let manifest = to_json(&ArtifactManifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            artifact_type: Some(self.artifact_type.clone()),
            config: Descriptor::from_content(media_type::EMPTY, EMPTY_CONFIG),
            layers: vec![Descriptor::from_content(&self.artifact_type, &self.content)],
            // A subject is a plain descriptor: a name or a platform would change the digest of the artifact.
            subject: Some(Descriptor {
                annotations: BTreeMap::new(),
                platform: None,
                ..self.subject.clone()
            }),
            annotations: self.annotations.clone(),
        });

        // With the annotations, as a registry lists them (OCI distribution specification 1.1, "Listing Referrers").
        let entry = Descriptor {
            artifact_type: Some(self.artifact_type.clone()),
            annotations: self.annotations.clone(),
            ..Descriptor::from_content(media_type::MANIFEST, &manifest)
        };
        (entry, manifest)
    }
}

/// Writes the artifacts of the image in a layout; earlier ones are removed.
pub fn write_referrers(folder: &Path, artifacts: &[Artifact]) -> Result<(), LayoutError> {
    let folder = folder.join(FOLDER);
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(file("create", &blobs))?;
    // As for the layout of the image: two calls at once would remove each other's blobs.
    let lock = File::open(&blobs).map_err(file("open", &blobs))?;
    lock.lock().map_err(file("lock", &blobs))?;

    let (mut entries, mut kept) = (Vec::new(), Vec::new());
    for artifact in artifacts {
        let (entry, manifest) = artifact.manifest();
        let document = Descriptor::from_content(&artifact.artifact_type, &artifact.content);
        let config = Descriptor::from_content(media_type::EMPTY, EMPTY_CONFIG);
        for (descriptor, content) in [
            (&document, artifact.content.as_slice()),
            (&config, EMPTY_CONFIG),
            (&entry, &manifest),
        ] {
            write_blob(&blobs, descriptor, content)?;
            kept.push(hex(&descriptor.digest).to_owned());
        }
        entries.push(entry);
    }

    write_index(&folder, &Index::new(entries))?;
    remove_others(&blobs, &kept)
}

impl Layout {
    /// Returns the layout of the artifacts that describe this image, with those entries that do; `None` without any.
    ///
    /// Entries of another image stay behind when a build is interrupted, or another tool replaces the image.
    pub fn referrers(&self) -> Result<Option<Self>, LayoutError> {
        let folder = self.folder().join(FOLDER);
        if !folder.join("index.json").is_file() {
            return Ok(None);
        }

        let tops = self.index().manifests.clone();
        let subjects: Vec<String> = (self.manifests()?.into_iter().chain(tops))
            .map(|descriptor| descriptor.digest)
            .collect();
        let layout = Self::open(&folder)?;
        let mut entries = Vec::new();
        for entry in layout.index().manifests.iter().take(MAX_REFERRERS) {
            let manifest: ArtifactManifest = layout.document(entry)?;
            let subject = manifest.subject.map(|subject| subject.digest);
            if subject.is_some_and(|subject| subjects.contains(&subject)) {
                entries.push(entry.clone());
            }
        }

        let found = !entries.is_empty();
        Ok(found.then(|| Self::with_index(folder, Index::new(entries))))
    }

    /// Returns the document of a kind that describes a manifest of this layout.
    pub fn artifact(
        &self,
        subject: &str,
        artifact_type: &str,
    ) -> Result<Option<Vec<u8>>, LayoutError> {
        let Some(layout) = self.referrers()? else {
            return Ok(None);
        };
        for entry in &layout.index().manifests {
            let manifest: ArtifactManifest = layout.document(entry)?;
            let is_subject = manifest
                .subject
                .as_ref()
                .is_some_and(|found| found.digest == subject);
            if is_subject
                && entry.artifact_type.as_deref() == Some(artifact_type)
                && let Some(document) = manifest.document(artifact_type)
            {
                if document.size > MAX_DOCUMENT_BYTES {
                    return Err(LayoutError::DocumentTooLarge(
                        layout.folder().join(&document.digest),
                    ));
                }
                return layout.blob(document).map(Some);
            }
        }

        Ok(None)
    }
}

impl ArtifactManifest {
    /// Returns the layer with the document: that of the media type, or else the first one.
    pub(crate) fn document(&self, media_type: &str) -> Option<&Descriptor> {
        let mut layers = self.layers.iter();
        layers
            .find(|layer| layer.media_type == media_type)
            .or(self.layers.first())
    }
}

const FOLDER: &str = "referrers";
/// The content of [`media_type::EMPTY`].
const EMPTY_CONFIG: &[u8] = b"{}";
/// An image has an SBOM and a signature for each platform; more entries are not read.
const MAX_REFERRERS: usize = 100;
