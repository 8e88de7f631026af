//! Reads image archives: `docker save`, `podman save` (both formats), and a layout packed with tar.
//!
//! An archive becomes a layout directory, so that everything else reads one form only. Docker's format is
//! described in the Docker Engine API ("Image tarball format"): `manifest.json` names a configuration and layers.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tar::{Archive, Entry, EntryType};

use super::config::ImageConfig;
use super::descriptor::{Descriptor, ImageManifest, Index, media_type};
use super::header_limit::{HeaderLimit, MAX_HEADER_BYTES, bytes_until_next};
use super::image::to_json;
use super::read::{Layout, open_file, parse, read_document};
use super::unpack::decompress;
use super::write::{file, write_blob, write_index};
use super::{LayoutError, MAX_IMAGES, MAX_LAYERS};
use crate::digest::Digest;

/// Most bytes that an archive may contain: those of an image that fits a task's default ephemeral storage.
const MAX_BYTES: u64 = 16 << 30;
/// Most files of an archive. Docker writes three for each layer, and an image has at most 127 layers.
const MAX_FILES: usize = 10_000;

/// An image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Extracts an archive, plain or compressed, into `folder` and opens it as a layout.
pub fn import(archive: &Path, folder: &Path) -> Result<Layout, LayoutError> {
    let files = Files::extract(archive, folder)?;

    if files.path("oci-layout").is_some() {
        files.move_into_layout(folder)?;
    } else if files.path("manifest.json").is_some() {
        let (images, _) = files.document::<Vec<SavedImage>>("manifest.json")?;
        files.convert(&images, folder)?;
    } else {
        return Err(LayoutError::NotAnArchive(archive.to_owned()));
    }

    fs::remove_dir_all(&files.folder).map_err(file("remove", &files.folder))?;
    Layout::open_as(folder, archive)
}

/// The files of an archive, extracted under numbers, so that their names never become paths.
struct Files {
    /// The archive, which errors name.
    archive: PathBuf,
    folder: PathBuf,
    by_name: HashMap<String, PathBuf>,
    links: HashMap<String, String>,
}

impl Files {
    fn extract(archive: &Path, folder: &Path) -> Result<Self, LayoutError> {
        let unreadable = |source| LayoutError::File {
            action: "read",
            path: archive.to_owned(),
            source,
        };
        let extracted = folder.join("extracted");
        fs::create_dir_all(&extracted).map_err(file("create", &extracted))?;
        let mut files = Self {
            archive: archive.to_owned(),
            folder: extracted,
            by_name: HashMap::new(),
            links: HashMap::new(),
        };

        let input = open_file(archive).map_err(unreadable)?;
        let left = Cell::new(MAX_HEADER_BYTES);
        let mut tar = Archive::new(HeaderLimit {
            content: decompress(input).map_err(unreadable)?,
            left: &left,
        });
        let mut remaining = MAX_BYTES;
        // Counts files and not names: a name that occurs twice must not give two files the same number.
        let mut count = 0;

        for entry in tar.entries().map_err(unreadable)? {
            let is_first = files.by_name.is_empty() && files.links.is_empty();
            let mut entry = entry.map_err(|source| {
                // Any file can be read as a damaged tar archive; one without a single entry is something else.
                if is_first {
                    LayoutError::NotAnArchive(archive.to_owned())
                } else {
                    unreadable(source)
                }
            })?;
            left.set(bytes_until_next(&entry));
            let name = entry.path().map_err(unreadable)?;
            let name = name.to_string_lossy().trim_start_matches("./").to_owned();
            let path = files.folder.join(count.to_string());
            count += 1;

            files.add(&mut entry, name, path, &mut remaining)?;
            if count > MAX_FILES {
                return Err(LayoutError::ArchiveTooLarge(archive.to_owned()));
            }
        }

        Ok(files)
    }

    /// Adds an entry; the content of a file is written to `path`.
    fn add(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        name: String,
        path: PathBuf,
        remaining: &mut u64,
    ) -> Result<(), LayoutError> {
        let unreadable = |source| LayoutError::File {
            action: "read",
            path: self.archive.clone(),
            source,
        };
        let too_large = || LayoutError::ArchiveTooLarge(self.archive.clone());
        match entry.header().entry_type() {
            EntryType::Regular => {
                let mut output = File::create(&path).map_err(file("create", &path))?;
                let copied = io::copy(&mut entry.take(*remaining + 1), &mut output);
                *remaining = remaining
                    .checked_sub(copied.map_err(unreadable)?)
                    .ok_or_else(too_large)?;
                self.by_name.insert(name, path);
            }
            // podman saves a layer that occurs twice as a link to the first one.
            EntryType::Symlink | EntryType::Link => {
                let target = entry.link_name().map_err(unreadable)?.unwrap_or_default();
                let target = target.to_string_lossy().into_owned();
                self.links.insert(name, target);
            }
            // Skipped, which takes as long as writing it would.
            _ => *remaining = remaining.checked_sub(entry.size()).ok_or_else(too_large)?,
        }

        Ok(())
    }

    /// Returns the extracted file; follows one link, since nothing saves links to links.
    fn path(&self, name: &str) -> Option<&Path> {
        let direct = self.by_name.get(name);
        let linked = || {
            let target = self.links.get(name)?;
            let target = target.trim_start_matches("../");
            self.by_name.get(target)
        };
        direct.or_else(linked).map(PathBuf::as_path)
    }

    fn move_into_layout(&self, folder: &Path) -> Result<(), LayoutError> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(file("create", &blobs))?;

        for (name, path) in &self.by_name {
            let target = match name.strip_prefix("blobs/sha256/") {
                // Only a digest becomes a file name; the blob is verified when it is read.
                Some(hex) if format!("sha256:{hex}").parse::<Digest>().is_ok() => blobs.join(hex),
                None if matches!(name.as_str(), "oci-layout" | "index.json") => folder.join(name),
                _ => continue,
            };
            fs::rename(path, &target).map_err(file("write", &target))?;
        }

        Ok(())
    }

    /// Writes the images of Docker's format as a layout, each under all its names.
    fn convert(&self, images: &[SavedImage], folder: &Path) -> Result<(), LayoutError> {
        if images.len() > MAX_IMAGES {
            let (path, images) = (self.archive.clone(), images.len());
            return Err(LayoutError::TooManyImages { path, images });
        }
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(file("create", &blobs))?;
        let (mut manifests, mut known) = (Vec::new(), HashMap::new());

        for (number, image) in images.iter().enumerate() {
            let descriptor = self.convert_image(image, &blobs, &mut known)?;
            let mut names = image.repo_tags.clone().unwrap_or_default();
            if names.is_empty() && images.len() > 1 {
                // The name that skopeo has for an image without one: its place in the archive.
                names.push(format!("@{number}"));
            }
            let named = names.iter().map(|name| {
                let mut descriptor = descriptor.clone();
                descriptor.set_name(name);
                descriptor
            });
            manifests.extend(named);
            if names.is_empty() {
                manifests.push(descriptor);
            }
        }

        write_index(folder, &Index::new(manifests))
    }

    /// Writes the blobs of an image, and returns the descriptor of its manifest.
    fn convert_image(
        &self,
        image: &SavedImage,
        blobs: &Path,
        known: &mut HashMap<String, Descriptor>,
    ) -> Result<Descriptor, LayoutError> {
        if image.layers.len() > MAX_LAYERS {
            let (path, layers) = (self.archive.clone(), image.layers.len());
            return Err(LayoutError::TooManyLayers { path, layers });
        }
        let (config, text) = self.document::<ImageConfig>(&image.config)?;
        let mut layers = Vec::new();
        for name in &image.layers {
            // Once: images share layers, and a manifest can name a large file again and again.
            if !known.contains_key(name) {
                known.insert(name.clone(), self.layer(name, blobs)?);
            }
            layers.extend(known.get(name).cloned());
        }

        let config_blob = Descriptor::from_content(media_type::CONFIG, &text);
        write_blob(blobs, &config_blob, &text)?;
        let manifest = to_json(&ImageManifest {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config: config_blob,
            layers,
            annotations: BTreeMap::new(),
        });
        let mut descriptor = Descriptor::from_content(media_type::MANIFEST, &manifest);
        write_blob(blobs, &descriptor, &manifest)?;
        descriptor.platform = Some(config.platform());
        Ok(descriptor)
    }

    /// Reads a file of the archive as JSON; errors name the archive and the file.
    fn document<T: DeserializeOwned>(&self, name: &str) -> Result<(T, Vec<u8>), LayoutError> {
        let label = self.archive.join(name);
        let text = read_document(self.require(name)?, &label)?;
        Ok((parse(&label, &text)?, text))
    }

    /// Copies a layer to its blob; layers of Docker's format are plain tar, or gzip.
    fn layer(&self, name: &str, blobs: &Path) -> Result<Descriptor, LayoutError> {
        let path = self.require(name)?;
        let mut input = File::open(path).map_err(file("read", path))?;
        let mut start = [0; 2];
        let is_gzip = input.read_exact(&mut start).is_ok() && start == [0x1f, 0x8b];

        let (digest, size) = Digest::from_file(path).map_err(file("read", path))?;
        let target = blobs.join(digest.hex());
        fs::copy(path, &target).map_err(file("write", &target))?;

        Ok(Descriptor {
            media_type: if is_gzip {
                media_type::LAYER_GZIP.to_owned()
            } else {
                media_type::LAYER.to_owned()
            },
            digest: digest.to_string(),
            size,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        })
    }

    fn require(&self, name: &str) -> Result<&Path, LayoutError> {
        self.path(name).ok_or_else(|| LayoutError::MissingFile {
            archive: self.archive.clone(),
            file: name.to_owned(),
        })
    }
}
