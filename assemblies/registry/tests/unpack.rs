//! Layers from anywhere: whiteouts are applied, and nothing outside the root is touched.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use registry::layout::{Compression, LayerBuilder, Owner, UnpackError, UnpackLimits, Unpacker};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// A tar archive of entries, with paths that the tar crate itself would refuse.
struct Archive(Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.entry(path, EntryType::Regular, 0o644, "", content)
    }

    fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, EntryType::Directory, mode, "", "")
    }

    fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.entry(path, kind, 0o777, target, "")
    }

    fn entry(
        mut self,
        path: impl AsRef<[u8]>,
        kind: EntryType,
        mode: u32,
        target: &str,
        content: &str,
    ) -> Self {
        let mut header = Header::new_gnu();
        let path = path.as_ref();
        // Written directly: `set_path` refuses `..` and absolute paths.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path);
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn unpack(root: &Path, layers: Vec<Archive>) -> Result<u64, UnpackError> {
    unpack_within(root, layers, UnpackLimits::default())
}

fn unpack_within(
    root: &Path,
    layers: Vec<Archive>,
    limits: UnpackLimits,
) -> Result<u64, UnpackError> {
    let keep_owner = |_, _| None;
    let mut unpacker = Unpacker::new(root, &keep_owner, limits).unwrap();
    for layer in layers {
        unpacker.layer(layer.bytes().as_slice())?;
    }
    unpacker.finish()
}

/// A root inside an outer folder, which must stay as it is.
fn roots() -> (TempDir, std::path::PathBuf) {
    let outer = TempDir::new().unwrap();
    let root = outer.path().join("root");
    fs::create_dir(&root).unwrap();
    (outer, root)
}

#[test]
fn a_later_layer_replaces_and_removes_what_a_lower_one_has() {
    let (_outer, root) = roots();
    let lower = Archive::new()
        .file("etc/kept", "1")
        .file("etc/replaced", "1")
        .file("etc/removed", "1")
        .file("cache/a", "1")
        .file("becomes-directory", "1")
        .file("becomes-file/inner", "1");
    let upper = Archive::new()
        .file("etc/replaced", "2")
        .file("etc/.wh.removed", "")
        .file("cache/b", "2")
        .file("cache/.wh..wh..opq", "")
        .directory("becomes-directory/", 0o755)
        .file("becomes-directory/inner", "2")
        .file("becomes-file", "2");
    unpack(&root, vec![lower, upper]).unwrap();

    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(read("etc/kept"), "1");
    assert_eq!(read("etc/replaced"), "2");
    assert!(!root.join("etc/removed").exists());
    assert!(!root.join("etc/.wh.removed").exists());
    // The opaque whiteout hides the lower layer only, wherever it is in its own layer.
    assert!(!root.join("cache/a").exists());
    assert_eq!(read("cache/b"), "2");
    assert_eq!(read("becomes-directory/inner"), "2");
    assert_eq!(read("becomes-file"), "2");
}

#[test]
fn every_compression_is_recognized() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let (_outer, root) = roots();
        let mut builder = LayerBuilder::new(0);
        builder
            .file("/shop", b"program".to_vec(), 0o755, Owner::NON_ROOT)
            .unwrap();
        let layer = builder.finish(compression).unwrap();

        let keep_owner = |_, _| None;
        let mut unpacker = Unpacker::new(&root, &keep_owner, UnpackLimits::default()).unwrap();
        unpacker.layer(layer.content()).unwrap();
        unpacker.finish().unwrap();

        let metadata = fs::metadata(root.join("shop")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
    }
}

#[test]
fn a_path_with_dots_is_refused() {
    for path in ["../escaped", "a/../../escaped", "/../escaped"] {
        let (outer, root) = roots();
        let error = unpack(&root, vec![Archive::new().file(path, "x")]).unwrap_err();
        assert!(matches!(error, UnpackError::Path(_)), "{path}: {error}");
        assert!(!outer.path().join("escaped").exists());
    }
}

#[test]
fn a_link_never_leads_out_of_the_root() {
    let (outer, root) = roots();
    let target = outer.path().join("outside");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("secret"), "secret").unwrap();
    let target = target.to_str().unwrap();

    // Through the link, the file is created below the root, as in a chroot; there is no such folder there.
    let through_link = Archive::new()
        .link("link", EntryType::Symlink, target)
        .file("link/file", "x");
    assert!(unpack(&root, vec![through_link]).is_err());

    let relative = Archive::new()
        .link("up", EntryType::Symlink, "../outside")
        .file("up/file", "x");
    assert!(unpack(&root, vec![relative]).is_err());

    let hard = format!("{target}/secret");
    let hard_link = Archive::new().link("hard", EntryType::Link, &hard);
    assert!(unpack(&root, vec![hard_link]).is_err());
    let hard_link = Archive::new().link("hard", EntryType::Link, "../outside/secret");
    assert!(unpack(&root, vec![hard_link]).is_err());

    let names: Vec<_> = fs::read_dir(target)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["secret"]);
}

#[test]
fn links_inside_the_root_are_followed_and_kept() {
    let (_outer, root) = roots();
    let layer = Archive::new()
        .directory("usr/lib/", 0o755)
        .link("lib", EntryType::Symlink, "/usr/lib")
        .file("lib/libc.so", "elf")
        .link("usr/lib/libc.so.6", EntryType::Link, "lib/libc.so");
    unpack(&root, vec![layer]).unwrap();

    // The absolute target is the image's, not the host's.
    assert_eq!(
        fs::read_link(root.join("lib")).unwrap(),
        Path::new("/usr/lib")
    );
    let first = fs::metadata(root.join("usr/lib/libc.so")).unwrap();
    let second = fs::metadata(root.join("usr/lib/libc.so.6")).unwrap();
    assert_eq!(first.ino(), second.ino());
}

#[test]
fn a_file_never_overwrites_through_an_existing_link() {
    let (outer, root) = roots();
    let victim = outer.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, root.join("config")).unwrap();

    unpack(&root, vec![Archive::new().file("config", "new")]).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(fs::read_to_string(root.join("config")).unwrap(), "new");
}

#[test]
fn devices_are_left_out_and_setuid_bits_are_dropped() {
    let (_outer, root) = roots();
    let layer = Archive::new()
        .entry("dev/null", EntryType::Char, 0o666, "", "")
        .entry("run/pipe", EntryType::Fifo, 0o666, "", "")
        .entry("bin/su", EntryType::Regular, 0o4755, "", "elf")
        .directory("tmp/", 0o1777);
    assert_eq!(unpack(&root, vec![layer]).unwrap(), 2);

    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert!(!root.join("dev/null").exists());
    assert_eq!(mode("bin/su"), 0o755);
    assert_eq!(mode("tmp"), 0o1777);
}

#[test]
fn a_read_only_directory_still_gets_its_entries() {
    let (_outer, root) = roots();
    let lower = Archive::new()
        .directory("data/", 0o500)
        .file("data/first", "1");
    let upper = Archive::new()
        .file("data/second", "2")
        .file("data/.wh.first", "");
    unpack(&root, vec![lower, upper]).unwrap();

    assert!(root.join("data/second").exists());
    assert!(!root.join("data/first").exists());
    let mode = fs::metadata(root.join("data"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o500);
}

#[test]
fn bytes_and_entries_are_limited() {
    let limits = UnpackLimits {
        max_bytes: 10,
        max_entries: 3,
    };
    let (_outer, root) = roots();
    let large = Archive::new().file("a", "123456").file("b", "123456");
    let error = unpack_within(&root, vec![large], limits).unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge(10)), "{error}");

    let many = ["a", "b", "c", "d"]
        .iter()
        .fold(Archive::new(), |archive, path| archive.file(path, ""));
    let error = unpack_within(&root, vec![many], limits).unwrap_err();
    assert!(matches!(error, UnpackError::TooManyEntries(3)), "{error}");
}

#[test]
fn a_name_without_end_is_an_error() {
    let (_folder, root) = roots();
    // The tar crate keeps a long name in memory before it returns the entry, so the limits on bytes come too late.
    let name = "a".repeat(8 << 20);
    let bomb = Archive::new().entry("././@LongLink", EntryType::GNULongName, 0, "", &name);
    let error = unpack(&root, vec![bomb.file("a", "")]).unwrap_err();
    assert!(error.to_string().contains("4 MiB"), "{error}");
}

#[test]
fn a_name_that_is_not_text_is_removed_like_any_other() {
    let (_folder, root) = roots();
    let lower = Archive::new().entry(b"folder/\xff", EntryType::Regular, 0o644, "", "old");
    let upper = Archive::new().entry(b"folder/.wh.\xff", EntryType::Regular, 0o644, "", "");
    unpack(&root, vec![lower, upper]).unwrap();
    assert_eq!(fs::read_dir(root.join("folder")).unwrap().count(), 0);
}

#[test]
fn a_file_in_the_place_of_a_parent_is_an_error() {
    let (_outer, root) = roots();
    let layer = Archive::new().file("a", "1").file("a/b", "2");
    let error = unpack(&root, vec![layer]).unwrap_err().to_string();
    assert!(error.contains("`a/b`"), "{error}");
}

#[test]
fn damage_is_an_error() {
    let (_outer, root) = roots();
    let mut builder = LayerBuilder::new(0);
    builder
        .file("/shop", vec![7; 10_000], 0o755, Owner::ROOT)
        .unwrap();
    let layer = builder.finish(Compression::Zstd).unwrap();
    let cut = &layer.content()[..layer.content().len() - 4];

    let keep_owner = |_, _| None;
    let mut unpacker = Unpacker::new(&root, &keep_owner, UnpackLimits::default()).unwrap();
    assert!(unpacker.layer(cut).is_err());
}
