//! Saved images: Docker's format and packed layouts become layouts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use registry::layout::{
    self, Compression, ContainerConfig, Image, ImageConfig, LayerBuilder, LayoutError, Owner,
    UnpackLimits, Unpacker,
};
use serde_json::json;
use tempfile::TempDir;

/// Packs files into a tar archive; a content of `-> TARGET` is a link.
fn pack(path: &Path, files: &[(&str, Vec<u8>)]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(target) = content.strip_prefix(b"-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let target = String::from_utf8(target.to_vec()).unwrap();
            builder.append_link(&mut header, name, target).unwrap();
        } else {
            header.set_size(content.len() as u64);
            builder
                .append_data(&mut header, name, content.as_slice())
                .unwrap();
        }
    }
    builder.finish().unwrap();
}

/// An uncompressed layer with one file.
fn plain_layer(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(2);
    builder
        .append_data(&mut header, name, b"hi".as_slice())
        .unwrap();
    builder.into_inner().unwrap()
}

fn shop(folder: &Path) -> PathBuf {
    let mut builder = LayerBuilder::new(0);
    builder
        .file("/shop", b"program".to_vec(), 0o755, Owner::ROOT)
        .unwrap();
    let config = ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        config: ContainerConfig {
            entrypoint: vec!["/shop".to_owned()],
            ..ContainerConfig::default()
        },
        ..ImageConfig::default()
    };
    // gzip: the podman of Debian 12 stores layers as they come, and docker-archive has no zstd.
    let layer = builder.finish(Compression::Gzip).unwrap();
    let image = Image::new(config, vec![layer], BTreeMap::new());
    let layout = folder.join("layout");
    layout::write(&layout, "shop:1", &[image]).unwrap();
    layout
}

fn unpacked_files(layout: &layout::Layout, root: &Path) -> Vec<String> {
    fs::create_dir(root).unwrap();
    let keep_owner = |_, _| None;
    let mut unpacker = Unpacker::new(root, &keep_owner, UnpackLimits::default()).unwrap();
    let (manifest, _) = layout.image("linux/amd64").unwrap();
    for layer in &manifest.layers {
        let content = layout.blob(layer).unwrap();
        unpacker.layer(content.as_slice()).unwrap();
    }
    unpacker.finish().unwrap();

    let names = fs::read_dir(root).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn dockers_format_is_converted() {
    let folder = TempDir::new().unwrap();
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Cmd": ["/a"], "Volumes": null, "Labels": null },
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let manifest = json!([{ "Config": "c.json", "RepoTags": ["shop:1"], "Layers": ["1/layer.tar", "2/layer.tar"] }]);
    let archive = folder.path().join("shop.tar");
    pack(
        &archive,
        &[
            ("c.json", config.to_string().into_bytes()),
            ("layers/a.tar", plain_layer("a")),
            ("1/layer.tar", b"-> ../layers/a.tar".to_vec()),
            ("2/layer.tar", plain_layer("b")),
            ("manifest.json", manifest.to_string().into_bytes()),
        ],
    );

    let layout = layout::import(&archive, &folder.path().join("out")).unwrap();
    let (_, config) = layout.image("linux/amd64").unwrap();
    assert_eq!(config.config.cmd, ["/a"]);
    let root = folder.path().join("root");
    assert_eq!(unpacked_files(&layout, &root), ["a", "b"]);
}

#[test]
fn a_packed_layout_is_read_also_when_it_is_compressed() {
    let folder = TempDir::new().unwrap();
    let layout = shop(folder.path());
    let mut packed = tar::Builder::new(Vec::new());
    packed.append_dir_all(".", &layout).unwrap();
    let packed = packed.into_inner().unwrap();

    let archive = folder.path().join("shop.tar.gz");
    let mut encoder = flate2::write::GzEncoder::new(
        fs::File::create(&archive).unwrap(),
        flate2::Compression::fast(),
    );
    encoder.write_all(&packed).unwrap();
    encoder.finish().unwrap();

    let layout = layout::import(&archive, &folder.path().join("out")).unwrap();
    let root = folder.path().join("root");
    assert_eq!(unpacked_files(&layout, &root), ["shop"]);
}

#[test]
fn what_podman_saves_is_read() {
    if Command::new("podman").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: what_podman_saves_is_read: podman is not installed"
        );
        return;
    }

    let folder = TempDir::new().unwrap();
    let layout = shop(folder.path());
    // A storage in this folder: nothing of the host's images is touched.
    let podman = |arguments: &[&str]| {
        let output = Command::new("podman")
            .arg("--root")
            .arg(folder.path().join("storage"))
            .arg("--runroot")
            .arg(folder.path().join("run"))
            .args(["--storage-driver", "vfs"])
            .args(arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let packed = folder.path().join("packed.tar");
    let mut archive = tar::Builder::new(fs::File::create(&packed).unwrap());
    archive.append_dir_all(".", &layout).unwrap();
    archive.finish().unwrap();

    // `podman pull oci:PATH` refuses paths with upper-case letters, which temporary folders have.
    let loaded = podman(&["load", "--quiet", "--input", packed.to_str().unwrap()]);
    let id = loaded.rsplit(' ').next().unwrap();

    for format in ["docker-archive", "oci-archive"] {
        let archive = folder.path().join(format);
        let path = archive.to_str().unwrap();
        podman(&["save", "--quiet", "--format", format, "-o", path, id.trim()]);

        let out = folder.path().join(format!("{format}-layout"));
        let layout = layout::import(&archive, &out).unwrap();
        let root = folder.path().join(format!("{format}-root"));
        assert_eq!(unpacked_files(&layout, &root), ["shop"], "{format}");
    }
}

#[test]
fn an_archive_of_something_else_is_refused() {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("notes.tar");
    pack(&archive, &[("notes.txt", b"hello".to_vec())]);
    let error = layout::import(&archive, &folder.path().join("out")).unwrap_err();
    assert!(matches!(error, LayoutError::NotAnArchive(_)), "{error}");

    let manifest = json!([{ "Config": "../../etc/passwd", "Layers": [] }]).to_string();
    pack(&archive, &[("manifest.json", manifest.into_bytes())]);
    let error = layout::import(&archive, &folder.path().join("out")).unwrap_err();
    assert!(matches!(error, LayoutError::MissingFile { .. }), "{error}");
}

/// Opens an image of an archive as the commands do, over a store beside it.
fn open(folder: &Path, source: &str) -> Result<registry::OpenedImage, String> {
    let store = registry::Store::open(&folder.join("store")).unwrap();
    let reader = registry::ImageReader::new(store);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let source: registry::ImageSource = source.parse().unwrap();
    let opened = runtime.block_on(reader.open(&source, None));
    opened.map_err(|error| error.to_string())
}

/// Writes an archive of `docker save` with these entries in its manifest, whose commands are their configurations.
fn save(folder: &Path, images: &[(&str, &[&str])]) -> PathBuf {
    let mut files = vec![("layer.tar".to_owned(), plain_layer("a"))];
    let mut manifest = Vec::new();
    for (command, tags) in images {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Cmd": [command] },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        files.push((format!("{command}.json"), config.to_string().into_bytes()));
        let file = format!("{command}.json");
        manifest.push(json!({ "Config": file, "RepoTags": tags, "Layers": ["layer.tar"] }));
    }
    files.push((
        "manifest.json".to_owned(),
        json!(manifest).to_string().into_bytes(),
    ));

    let archive = folder.join("saved.tar");
    let files: Vec<_> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.clone()))
        .collect();
    pack(&archive, &files);
    archive
}

#[test]
fn one_of_several_images_is_chosen_by_its_name() {
    let folder = TempDir::new().unwrap();
    let images: [(&str, &[&str]); 3] = [
        ("web", &["localhost/web:1", "web:latest"]),
        ("job", &["job:2"]),
        ("other", &[]),
    ];
    let archive = save(folder.path(), &images);
    let archive = archive.display();

    for (name, command) in [
        ("localhost/web:1", "web"),
        ("web:latest", "web"),
        ("job:2", "job"),
        ("@2", "other"),
    ] {
        for source in [
            format!("docker-archive:{archive}:{name}"),
            format!("{archive}:{name}"),
        ] {
            let image = open(folder.path(), &source).unwrap();
            assert_eq!(image.config().config.cmd, [command], "{source}");
        }
    }
    for source in [format!("{archive}"), format!("{archive}:nginx:1")] {
        let error = open(folder.path(), &source).unwrap_err();
        let names = "localhost/web:1, web:latest, job:2, @2";
        assert!(
            error.contains(names) && error.contains("saved.tar"),
            "{error}"
        );
    }

    // Two names of one image leave nothing to choose.
    save(folder.path(), &images[..1]);
    let image = open(folder.path(), &archive.to_string()).unwrap();
    assert_eq!(image.config().config.cmd, ["web"]);
}

#[test]
fn the_number_of_images_and_layers_and_the_size_of_documents_are_limited() {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("saved.tar");
    let config = json!({ "architecture": "amd64", "os": "linux" }).to_string();
    let image = |layers: usize| json!({ "Config": "c.json", "Layers": vec!["l.tar"; layers] });
    let large = vec![b' '; (4 << 20) + 1];
    for (manifest, config, expected) in [
        (
            json!([image(257)]),
            config.clone().into_bytes(),
            "257 layers",
        ),
        (
            json!(vec![image(1); 257]),
            config.into_bytes(),
            "257 images",
        ),
        (
            json!([image(1)]),
            large.clone(),
            "saved.tar/c.json is larger than 4 MiB",
        ),
        (json!([image(1)]), b"{".to_vec(), "saved.tar/c.json: EOF"),
        (
            json!({}),
            Vec::new(),
            "saved.tar/manifest.json: invalid type",
        ),
        (
            json!([{ "Config": "absent.json", "Layers": [] }]),
            Vec::new(),
            "saved.tar has no file `absent.json`",
        ),
    ] {
        let files = [
            ("c.json", config),
            ("l.tar", plain_layer("a")),
            ("manifest.json", manifest.to_string().into_bytes()),
        ];
        pack(&archive, &files);
        let error = open(folder.path(), archive.to_str().unwrap()).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }

    pack(&archive, &[("manifest.json", large)]);
    let error = open(folder.path(), archive.to_str().unwrap()).unwrap_err();
    assert!(
        error.contains("saved.tar/manifest.json is larger"),
        "{error}"
    );
}

#[test]
fn an_error_in_a_packed_layout_names_the_archive() {
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("layout.tar");
    let marker = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
    for (index, expected) in [
        ("{", "layout.tar/index.json: EOF"),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#,
            "layout.tar has no image",
        ),
    ] {
        pack(
            &archive,
            &[("oci-layout", marker.clone()), ("index.json", index.into())],
        );
        let error = open(folder.path(), archive.to_str().unwrap()).unwrap_err();
        assert!(error.contains(expected), "{error}");
        let error = layout::import(&archive, &folder.path().join("out"));
        let error = error.map(|_| ()).map_err(|error| error.to_string());
        assert!(!error.is_err_and(|error| error.contains("/out/")));
        fs::remove_dir_all(folder.path().join("out")).unwrap();
    }
}

#[test]
fn a_named_pipe_is_refused_and_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("saved.tar");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let error = open(folder.path(), pipe.to_str().unwrap()).unwrap_err();
    assert!(error.contains("not a regular file"), "{error}");

    // Also as a file of a layout.
    let layout = shop(folder.path());
    fs::remove_file(layout.join("index.json")).unwrap();
    fs::rename(&pipe, layout.join("index.json")).unwrap();
    let error = open(folder.path(), layout.to_str().unwrap()).unwrap_err();
    assert!(error.contains("not a regular file"), "{error}");
}
