//! Image layouts: the same input gives the same bytes, and damage is reported.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use registry::layout::{
    self, Compression, ContainerConfig, Image, ImageConfig, LayerBuilder, Layout, LayoutError,
    Owner,
};
use tempfile::TempDir;

fn layer(compression: Compression) -> layout::Layer {
    let mut builder = LayerBuilder::new(0);
    builder
        .file("/shop", b"\x7fELF".to_vec(), 0o755, Owner::ROOT)
        .unwrap();
    builder
        .directory("/run/assemble", 0o770, Owner::NON_ROOT)
        .unwrap();
    builder.finish(compression).unwrap()
}

fn image(architecture: &str) -> Image {
    let config = ImageConfig {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        config: ContainerConfig {
            user: "65532:65532".to_owned(),
            entrypoint: vec!["/shop".to_owned()],
            ..ContainerConfig::default()
        },
        ..ImageConfig::default()
    };
    Image::new(config, vec![layer(Compression::Zstd)], BTreeMap::new())
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                found.insert(
                    name.to_string_lossy().into_owned(),
                    fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

#[test]
fn the_order_of_calls_does_not_change_a_layer() {
    let mut reversed = LayerBuilder::new(0);
    reversed
        .directory("run/assemble/", 0o770, Owner::NON_ROOT)
        .unwrap();
    reversed
        .file("shop", b"\x7fELF".to_vec(), 0o755, Owner::ROOT)
        .unwrap();

    for compression in [Compression::Gzip, Compression::Zstd] {
        let reversed = reversed.clone().finish(compression).unwrap();
        assert_eq!(reversed.descriptor(), layer(compression).descriptor());
    }
}

#[test]
fn a_layer_has_the_missing_parents_with_the_owner_root() {
    let layer = layer(Compression::Gzip);
    let archive = flate2::read::GzDecoder::new(layer.content());
    let mut archive = tar::Archive::new(archive);
    let entries: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let header = entry.unwrap().header().clone();
            let path = header.path().unwrap().to_string_lossy().into_owned();
            (path, header.mode().unwrap(), header.uid().unwrap())
        })
        .collect();

    let expected = [
        ("run/", 0o755, 0),
        ("run/assemble/", 0o770, 65532),
        ("shop", 0o755, 0),
    ];
    let expected = expected.map(|(path, mode, owner)| (path.to_owned(), mode, owner));
    assert_eq!(entries, expected);
}

#[test]
fn paths_that_leave_the_root_are_refused() {
    let mut builder = LayerBuilder::new(0);
    for path in ["", "/", "../etc/passwd", "/a/../../b", "a//b", "./a"] {
        let result = builder.file(path, Vec::new(), 0o644, Owner::ROOT);
        assert!(matches!(result, Err(LayoutError::Path(_))), "{path}");
    }
}

#[test]
fn two_folders_get_the_same_bytes() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let nested = second.path().join("another/name");
    let descriptor = layout::write(first.path(), "shop:1", &[image("amd64")]).unwrap();

    assert_eq!(
        layout::write(&nested, "shop:1", &[image("amd64")]).unwrap(),
        descriptor
    );
    assert_eq!(files(first.path()), files(&nested));
}

#[test]
fn a_written_layout_is_read_back_and_old_blobs_are_removed() {
    let folder = TempDir::new().unwrap();
    layout::write(folder.path(), "shop:1", &[image("arm64")]).unwrap();
    layout::write(folder.path(), "shop:1", &[image("amd64")]).unwrap();

    let layout = Layout::open(folder.path()).unwrap();
    let (manifest, config) = layout.image("linux/amd64").unwrap();
    assert_eq!(config.config.user, "65532:65532");
    assert_eq!(config.rootfs.diff_ids.len(), manifest.layers.len());
    layout.blob(&manifest.layers[0]).unwrap();

    // Layer, configuration and manifest of the second image only.
    let blobs = fs::read_dir(folder.path().join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 3);

    let error = layout.image("linux/arm64").unwrap_err().to_string();
    assert!(
        error.contains("no image for linux/arm64; it has linux/amd64"),
        "{error}"
    );
}

#[test]
fn an_index_has_one_image_per_platform() {
    let folder = TempDir::new().unwrap();
    layout::write(folder.path(), "shop:1", &[image("amd64"), image("arm64")]).unwrap();

    let layout = Layout::open(folder.path()).unwrap();
    assert_eq!(layout.index().manifests.len(), 1);
    let platforms: Vec<String> = layout
        .manifests()
        .unwrap()
        .iter()
        .filter_map(|manifest| manifest.platform.as_ref())
        .map(layout::PlatformFields::name)
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    layout.image("linux/arm64").unwrap();
}

#[test]
fn a_missing_or_altered_blob_is_named() {
    let folder = TempDir::new().unwrap();
    layout::write(folder.path(), "shop:1", &[image("amd64")]).unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    let (manifest, _) = layout.image("linux/amd64").unwrap();
    let layer = &manifest.layers[0];
    let path = folder
        .path()
        .join("blobs/sha256")
        .join(layer.digest.trim_start_matches("sha256:"));

    // One flipped bit: the size stays the same.
    let mut content = fs::read(&path).unwrap();
    content[0] ^= 1;
    fs::write(&path, &content).unwrap();
    let error = layout.blob(layer).unwrap_err();
    assert!(matches!(error, LayoutError::AlteredBlob { .. }), "{error}");

    // Writing the image again repairs the blob.
    layout::write(folder.path(), "shop:1", &[image("amd64")]).unwrap();
    layout.blob(layer).unwrap();

    fs::remove_file(&path).unwrap();
    let error = layout.blob(layer).unwrap_err().to_string();
    assert!(error.contains(&layer.digest), "{error}");
}

#[test]
fn a_folder_without_a_layout_is_refused() {
    let folder = TempDir::new().unwrap();
    let error = Layout::open(folder.path()).unwrap_err();
    assert!(matches!(error, LayoutError::NotALayout(_)), "{error}");
}

#[test]
fn two_writers_of_one_layout_leave_a_complete_image() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("layout");
    std::thread::scope(|scope| {
        for architecture in ["amd64", "arm64"] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..50 {
                    layout::write(path, "shop:1", &[image(architecture)]).unwrap();
                }
            });
        }
    });

    let layout = Layout::open(&path).unwrap();
    let manifests = layout.manifests().unwrap();
    assert_eq!(manifests.len(), 1);
    let (manifest, _) = layout.documents(&manifests[0]).unwrap();
    layout.verify(&manifest.layers[0]).unwrap();
}
