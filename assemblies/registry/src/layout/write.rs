//! Writes images into a layout directory.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::LayoutError;
use super::base::BaseLayer;
use super::descriptor::{Descriptor, Index};
use super::image::{Image, to_json};
use crate::digest::Digest;

/// Writes a layout that contains the image in all its platforms, with `name` as its reference.
///
/// Blobs that exist already are kept, blobs that nothing refers to any more are removed. `index.json` is written
/// last and atomically, so an interrupted call leaves the previous image readable. Returns the descriptor of the
/// image: a manifest, or an index where there are several platforms.
pub fn write(folder: &Path, name: &str, images: &[Image]) -> Result<Descriptor, LayoutError> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(file("create", &blobs))?;
    // Two calls at once would remove each other's blobs. The lock ends with the descriptor.
    let lock = File::open(&blobs).map_err(file("open", &blobs))?;
    lock.lock().map_err(file("lock", &blobs))?;

    let mut kept = Vec::new();
    for (descriptor, content) in images.iter().flat_map(Image::blobs) {
        write_blob(&blobs, descriptor, content)?;
        kept.push(hex(&descriptor.digest).to_owned());
    }

    for layer in images.iter().flat_map(Image::base) {
        copy_blob(&blobs, layer)?;
        kept.push(hex(&layer.descriptor.digest).to_owned());
    }

    let mut top = if let [image] = images {
        image.manifest().clone()
    } else {
        let manifests = images.iter().map(|image| image.manifest().clone());
        let index = to_json(&Index::new(manifests.collect()));
        let descriptor = Descriptor::from_content(super::media_type::INDEX, &index);
        write_blob(&blobs, &descriptor, &index)?;
        kept.push(hex(&descriptor.digest).to_owned());
        descriptor
    };

    top.set_name(name);
    write_index(folder, &Index::new(vec![top.clone()]))?;
    remove_others(&blobs, &kept)?;

    Ok(top)
}

/// Writes the marker of a layout and its index, which makes the blobs visible.
pub(super) fn write_index(folder: &Path, index: &Index) -> Result<(), LayoutError> {
    let marker = br#"{"imageLayoutVersion":"1.0.0"}"#;
    replace(&folder.join("oci-layout"), marker)?;
    replace(&folder.join("index.json"), &to_json(index))
}

pub(super) fn write_blob(
    blobs: &Path,
    descriptor: &Descriptor,
    content: &[u8],
) -> Result<(), LayoutError> {
    let path = blobs.join(hex(&descriptor.digest));
    // Compared by content: an altered blob of the same size is repaired.
    let is_intact = fs::read(&path).is_ok_and(|existing| existing == content);
    if is_intact {
        Ok(())
    } else {
        replace(&path, content)
    }
}

/// Copies a layer of a base image, whose content is verified on the way.
fn copy_blob(blobs: &Path, layer: &BaseLayer) -> Result<(), LayoutError> {
    let path = blobs.join(hex(&layer.descriptor.digest));
    let is_intact = |path: &Path| {
        Digest::from_file(path).is_ok_and(|(digest, length)| {
            digest.as_str() == layer.descriptor.digest && length == layer.descriptor.size
        })
    };
    if is_intact(&path) {
        return Ok(());
    }

    let temporary = path.with_extension("tmp");
    fs::copy(&layer.path, &temporary).map_err(file("copy", &layer.path))?;
    if is_intact(&temporary) {
        fs::rename(&temporary, &path).map_err(file("write", &path))
    } else {
        let _ = fs::remove_file(&temporary);
        Err(layer.altered_error())
    }
}

/// Writes next to the file and renames, so that readers see the old or the new content.
fn replace(path: &Path, content: &[u8]) -> Result<(), LayoutError> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, content).map_err(file("write", &temporary))?;
    fs::rename(&temporary, path).map_err(file("write", path))
}

pub(super) fn remove_others(blobs: &Path, kept: &[String]) -> Result<(), LayoutError> {
    for entry in fs::read_dir(blobs).map_err(file("read", blobs))? {
        let entry = entry.map_err(file("read", blobs))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !kept.contains(&name) {
            fs::remove_file(entry.path()).map_err(file("remove", &entry.path()))?;
        }
    }

    Ok(())
}

pub(super) fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

pub(super) fn file<'p>(
    action: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> LayoutError + use<'p> {
    move |source| LayoutError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
