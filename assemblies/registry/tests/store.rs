//! The store: unpacking once, at the same time, interrupted, on a full disk; cleaning; listing files.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failing helper fails the test, and a skipped test says so"
)]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use registry::layout::{
    Compression, FileKind, FileList, ImageConfig, LayerBuilder, Owner, UnpackLimits,
};
use registry::{
    Digest, ImageReader, ImageSource, OpenedImage, ReadImageError, Store, UnpackedImage, layout,
};
use tempfile::TempDir;

fn layer(files: &[(&str, &[u8])]) -> layout::Layer {
    let mut builder = LayerBuilder::new(0);
    for (name, content) in files {
        let owner = Owner::ROOT;
        builder.file(name, content.to_vec(), 0o755, owner).unwrap();
    }
    builder.finish(Compression::Gzip).unwrap()
}

fn write(folder: &Path, layers: Vec<layout::Layer>) {
    let config = ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        ..ImageConfig::default()
    };
    let image = layout::Image::new(config, layers, BTreeMap::new());
    layout::write(folder, "web:1", &[image]).unwrap();
}

fn reader(folder: &Path) -> ImageReader {
    ImageReader::new(Store::open(&folder.join("store")).unwrap())
}

fn open(reader: &ImageReader, source: &str) -> Result<OpenedImage, ReadImageError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let source: ImageSource = source.parse().unwrap();
    runtime.block_on(reader.open(&source, None))
}

fn unpack(reader: &ImageReader, image: &OpenedImage) -> Result<UnpackedImage, ReadImageError> {
    reader.unpack(image, &|_, _| None, |_| Ok(()))
}

#[test]
fn an_image_is_unpacked_once_also_by_several_callers_at_the_same_time() {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("web");
    write(&source, vec![layer(&[("bin/app", b"program")])]);
    let source = format!("oci:{}", source.display());

    let unpacked: Vec<UnpackedImage> = std::thread::scope(|scope| {
        let run = || {
            let reader = reader(folder.path());
            unpack(&reader, &open(&reader, &source).unwrap()).unwrap()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    let root = unpacked[0].folder();
    assert!(unpacked.iter().all(|image| image.folder() == root));
    assert_eq!(std::fs::read(root.join("bin/app")).unwrap(), b"program");
    // A second unpacking would replace this file.
    std::fs::write(root.join("bin/app"), "marked").unwrap();
    let reader = reader(folder.path());
    unpack(&reader, &open(&reader, &source).unwrap()).unwrap();
    assert_eq!(std::fs::read(root.join("bin/app")).unwrap(), b"marked");
}

#[test]
fn an_altered_or_missing_layer_leaves_no_root() {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("web");
    let layer = layer(&[("bin/app", b"program")]);
    let digest: Digest = layer.descriptor().digest.parse().unwrap();
    write(&source, vec![layer]);
    let blob = source.join("blobs/sha256").join(digest.hex());
    let intact = std::fs::read(&blob).unwrap();
    let reader = reader(folder.path());
    let image = open(&reader, &format!("oci:{}", source.display())).unwrap();

    // The last byte belongs to the checksum that gzip ends with, and every file is unpacked before it is read.
    let mut altered = intact.clone();
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, altered).unwrap();
    let error = unpack(&reader, &image).unwrap_err().to_string();
    assert!(error.contains(digest.hex()), "{error}");
    std::fs::remove_file(&blob).unwrap();
    let error = unpack(&reader, &image).unwrap_err().to_string();
    assert!(error.contains("has no blob"), "{error}");

    let left = std::fs::read_dir(folder.path().join("store/roots")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    let is_lock = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.ends_with(".lock") || name.ends_with(".unpacking")
    };
    assert!(left.iter().all(is_lock), "{left:?}");

    // What a killed process left half done is replaced.
    std::fs::write(&blob, intact).unwrap();
    let half = folder
        .path()
        .join("store/roots")
        .join(image.manifest_digest().hex());
    std::fs::create_dir_all(half.with_extension("new").join("half")).unwrap();
    let unpacked = unpack(&reader, &image).unwrap();
    assert!(unpacked.folder().join("bin/app").exists());
    assert!(!unpacked.folder().join("half").exists());
}

#[test]
fn a_full_disk_is_reported_and_leaves_no_root() {
    let inner = "fills_a_small_disk";
    let script = "mount -t tmpfs -o size=400k tmpfs \"$FOLDER\" && exec \"$TEST\" --ignored --exact \
                  fills_a_small_disk --nocapture";
    let folder = TempDir::new().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .env("FOLDER", folder.path())
        .env("TEST", std::env::current_exe().unwrap())
        .output();
    let Ok(output) = output else {
        return eprintln!("skipped: a_full_disk needs unshare (util-linux)");
    };
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if text.contains("unshare failed") || text.contains("mount:") {
        return eprintln!("skipped: a_full_disk needs user namespaces: {text}");
    }
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("test {inner} ... ok")), "{text}");
}

#[test]
#[ignore = "started by a_full_disk_is_reported_and_leaves_no_root in a mount namespace"]
fn fills_a_small_disk() {
    let Some(folder) = std::env::var_os("FOLDER") else {
        return;
    };
    let folder = Path::new(&folder);
    let source = folder.join("web");
    // Compresses well, so only the unpacked files do not fit.
    write(&source, vec![layer(&[("zeros", &[0; 1_000_000])])]);
    let reader = reader(folder);
    let image = open(&reader, &format!("oci:{}", source.display())).unwrap();
    let error = unpack(&reader, &image).unwrap_err().to_string();
    assert!(
        error.contains("`zeros`") && error.contains("No space left"),
        "{error}"
    );

    let roots = std::fs::read_dir(folder.join("store/roots")).unwrap();
    assert!(roots.flatten().all(|entry| !entry.path().is_dir()));
}

#[test]
fn cleaning_removes_what_was_not_used_and_keeps_what_runs() {
    let folder = TempDir::new().unwrap();
    let reader = reader(folder.path());
    let mut images = Vec::new();
    for name in ["old", "new"] {
        let source = folder.path().join(name);
        write(&source, vec![layer(&[(name, &[7; 5000])])]);
        let image = open(&reader, &format!("oci:{}", source.display())).unwrap();
        images.push((image.clone(), unpack(&reader, &image).unwrap()));
    }

    let store = reader.store().unwrap();
    let roots: Vec<_> = images
        .iter()
        .map(|(_, root)| root.folder().to_owned())
        .collect();
    assert_eq!(store.clean(0, Duration::ZERO), 0, "both are in use");
    assert!(roots.iter().all(|root| root.exists()));

    // Only the first one is not in use any more; a young one stays all the same.
    drop(images.remove(0));
    assert_eq!(store.clean(0, Duration::from_hours(1)), 0);
    assert_eq!(store.clean(0, Duration::ZERO), 5000);
    assert!(!roots[0].exists() && roots[1].exists());
    assert!(
        store
            .find_unpacked(images[0].0.manifest_digest())
            .unwrap()
            .is_some()
    );
}

#[test]
fn cleaning_removes_what_a_killed_process_left_of_an_archive() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let left = folder.path().join("partial/0-1-0");
    std::fs::create_dir_all(left.join("blobs/sha256")).unwrap();
    std::fs::write(left.join("blobs/sha256/layer"), [0; 3000]).unwrap();
    std::fs::create_dir(folder.path().join("roots/unpacked")).unwrap();

    assert_eq!(store.clean(0, Duration::from_hours(1)), 0);
    assert_eq!(store.clean(0, Duration::ZERO), 3000);
    assert!(!left.exists());
    assert!(folder.path().join("roots/unpacked").exists());
}

#[test]
fn names_of_a_layout_select_an_image() {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("web");
    write(&source, vec![layer(&[("app", b"")])]);
    let reader = reader(folder.path());
    let source = format!("oci:{}", source.display());
    // `web:1` contains a colon, so the name is what follows the last one.
    let error = open(&reader, &format!("{source}:2"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no image named `2`") && error.contains("web:1"),
        "{error}"
    );

    let error = open(&reader, "/nowhere/at/all").unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
}

#[test]
fn a_broken_configuration_or_index_is_named() {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("web");
    write(&source, vec![layer(&[("app", b"")])]);
    let reader = reader(folder.path());
    let text = format!("oci:{}", source.display());
    for (content, expected) in [
        ("{", "index.json"),
        (
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"a.manifest","digest":"sha256:../../x","size":1}]}"#,
            "../../x",
        ),
        (r#"{"schemaVersion":2,"manifests":[]}"#, "no image for"),
    ] {
        std::fs::write(source.join("index.json"), content).unwrap();
        let error = open(&reader, &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_file_list_removes_names_that_are_not_text() {
    let name = |bytes: &[u8]| {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
        builder.into_inner().unwrap()
    };
    // The second name differs from the first only in bytes that are not UTF-8.
    let layers = [name(b"a/\xff"), name(b"a/\xfe"), name(b"a/.wh.\xff")];
    let files = list(&layers, UnpackLimits::default()).unwrap();
    let names: Vec<_> = files
        .iter()
        .map(|(path, _)| path.as_os_str().to_owned())
        .collect();
    assert_eq!(names, [std::ffi::OsStr::from_bytes(b"a/\xfe")]);
}

fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_uid(7);
        header.set_gid(8);
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.set_size(0);
            builder.append_link(&mut header, path, content).unwrap();
        } else {
            header.set_size(content.len() as u64);
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
    }
    builder.into_inner().unwrap()
}

/// Lists the files of layers that are written as plain blobs of a store.
fn list(layers: &[Vec<u8>], limits: UnpackLimits) -> Result<FileList, String> {
    let folder = TempDir::new().unwrap();
    let blobs = folder.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let layers: Vec<_> = layers
        .iter()
        .map(|content| {
            let kind = layout::media_type::LAYER;
            let descriptor = layout::Descriptor::from_content(kind, content);
            let name = descriptor.digest.trim_start_matches("sha256:");
            std::fs::write(blobs.join(name), content).unwrap();
            descriptor
        })
        .collect();
    let manifest = layout::ImageManifest {
        schema_version: 2,
        media_type: None,
        config: layout::Descriptor::from_content(layout::media_type::CONFIG, b"{}"),
        layers,
        annotations: BTreeMap::new(),
    };
    std::fs::write(
        folder.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    std::fs::write(
        folder.path().join("index.json"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    )
    .unwrap();
    let opened = layout::Layout::open(folder.path()).unwrap();
    FileList::read(&opened, &manifest, limits).map_err(|error| error.to_string())
}

#[test]
fn the_file_list_follows_links_and_applies_whiteouts() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let lower = archive(&[
        ("bin", Symlink, "usr/bin"),
        ("usr/bin", Directory, ""),
        ("usr/bin/busybox", Regular, "program"),
        ("usr/bin/sh", Symlink, "/usr/bin/busybox"),
        ("usr/bin/curl", Regular, "program"),
        ("usr/bin/again", Link, "usr/bin/busybox"),
        ("loop", Symlink, "loop"),
        ("etc/passwd", Regular, "app:x:1000:1000::/:/bin/sh\n"),
        ("data/old", Regular, "x"),
        ("var/cache/x", Regular, "x"),
    ]);
    let upper = archive(&[
        ("usr/bin/.wh.curl", Regular, ""),
        ("data/new", Regular, "x"),
        ("data/.wh..wh..opq", Regular, ""),
        ("var", Regular, "a file where a folder was"),
    ]);
    let files = list(&[lower, upper], UnpackLimits::default()).unwrap();

    for path in [
        "/bin/sh",
        "/usr/bin/sh",
        "/usr/bin/again",
        "/bin/../bin/busybox",
    ] {
        assert!(files.is_program(Path::new(path)), "{path}");
    }
    for path in [
        "/bin/curl",
        "/loop",
        "/loop/x",
        "/bin",
        "/data/old",
        "/var/cache/x",
        "/none",
    ] {
        assert!(!files.is_program(Path::new(path)), "{path}");
    }
    assert!(files.is_program(Path::new("/data/new")));
    let folder = files.get(Path::new("/bin")).unwrap();
    assert_eq!((&folder.kind, folder.owner), (&FileKind::Directory, (7, 8)));
    assert!(files.passwd().starts_with("app:"));
}

#[test]
fn the_file_list_is_limited() {
    let many: Vec<_> = (0..20).map(|n| format!("f{n}")).collect();
    let many: Vec<_> = many
        .iter()
        .map(|name| (name.as_str(), tar::EntryType::Regular, "x"))
        .collect();
    let layer = archive(&many);
    for (limits, expected) in [
        (
            UnpackLimits {
                max_bytes: 1 << 30,
                max_entries: 10,
            },
            "more than 10",
        ),
        (
            UnpackLimits {
                max_bytes: 4096,
                max_entries: 100,
            },
            "larger than 4096",
        ),
    ] {
        let error = list(std::slice::from_ref(&layer), limits).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
