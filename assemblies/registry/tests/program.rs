//! Images of one program: static ones run in an empty root, dynamic ones are refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use registry::layout::{self, Compression, Image, Layout, UnpackLimits, Unpacker};
use registry::program::{Program, ProgramError, ProgramImage, WritableFolder};
use tempfile::TempDir;

const SOURCE: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    printf("%d %s\n", getuid(), argv[1]);
    return 3;
}
"#;

/// Compiles the program; the C compiler is what Rust links with.
fn compile(folder: &Path, flags: &[&str]) -> Vec<u8> {
    let source = folder.join("hello.c");
    let program = folder.join("hello");
    fs::write(&source, SOURCE).unwrap();
    let status = Command::new("cc")
        .args(flags)
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(program).unwrap()
}

fn image(program: Program) -> Image {
    let image = ProgramImage {
        name: "hello".to_owned(),
        program,
        links: vec!["hi".to_owned()],
        command: vec!["serve".to_owned()],
        environment: Vec::new(),
        ports: vec![8080],
        folders: vec![WritableFolder {
            path: "/tmp".to_owned(),
            mode: 0o1777,
        }],
        files: BTreeMap::from([("/licenses/MIT".to_owned(), b"MIT".to_vec())]),
        labels: BTreeMap::new(),
        modified: 0,
        created: None,
    };
    image.build(Compression::Zstd).unwrap()
}

#[test]
fn a_static_program_becomes_an_image_that_runs_in_an_empty_root() {
    let folder = TempDir::new().unwrap();
    let program = Program::read(compile(folder.path(), &["-static-pie"])).unwrap();
    let path = folder.path().join("layout");
    layout::write(&path, "hello:1", &[image(program.clone())]).unwrap();

    let layout = Layout::open(&path).unwrap();
    let platform = format!("linux/{}", program.architecture());
    let (manifest, config) = layout.image(&platform).unwrap();
    assert_eq!(config.config.entrypoint, ["/hello"]);
    assert_eq!(config.config.user, "65532:65532");
    assert_eq!(config.config.stop_signal, "SIGTERM");
    let volumes: Vec<&String> = config.config.volumes.keys().collect();
    assert_eq!(volumes, ["/run/assemble", "/tmp"]);
    assert!(config.config.exposed_ports.contains_key("8080/tcp"));

    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let is_root = rustix::process::getuid().is_root();
    let owners = |user, group| is_root.then_some((user, group));
    let mut unpacker = Unpacker::new(&root, &owners, UnpackLimits::default()).unwrap();
    unpacker
        .layer(layout.blob(&manifest.layers[0]).unwrap().as_slice())
        .unwrap();
    unpacker.finish().unwrap();

    let sockets = fs::metadata(root.join("run/assemble")).unwrap();
    assert_eq!(sockets.mode() & 0o7777, 0o770);
    if !is_root {
        return;
    }
    assert_eq!((sockets.uid(), sockets.gid()), (65532, 65532));

    let output = Command::new("chroot")
        .args(["--userspec=65532:65532"])
        .arg(&root)
        .args(["/hello", "serve"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"65532 serve\n");

    // The link runs the same program in the same root.
    let mut link = Command::new("chroot");
    let output = link.arg(&root).args(["/hi", "probe"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.ends_with(b" probe\n"), "{output:?}");
}

#[test]
fn the_same_program_gives_the_same_digest() {
    let folder = TempDir::new().unwrap();
    let program = Program::read(compile(folder.path(), &["-static"])).unwrap();
    let first = image(program.clone());
    assert_eq!(first.manifest(), image(program).manifest());
}

#[test]
fn a_dynamic_program_is_refused_with_its_libraries() {
    let folder = TempDir::new().unwrap();
    let error = Program::read(compile(folder.path(), &[])).unwrap_err();
    assert!(
        matches!(&error, ProgramError::Dynamic { libraries, .. } if libraries == &["libc.so.6"]),
        "{error}"
    );

    let text = error.to_string();
    assert!(text.contains("ld-linux"), "{text}");
    assert!(
        text.contains("crt-static") && text.contains("--base"),
        "{text}"
    );
}

#[test]
fn other_files_are_refused() {
    let read = |content: &[u8]| Program::read(content.to_vec()).unwrap_err();
    assert_eq!(read(b""), ProgramError::Empty);
    let script = ProgramError::Script("/bin/sh".to_owned());
    assert_eq!(read(b"#! /bin/sh\nexit\n"), script);
    assert!(matches!(read(b"\x7fELF"), ProgramError::NotElf(_)));

    let folder = TempDir::new().unwrap();
    let object = compile(folder.path(), &["-c"]);
    let error = Program::read(object).unwrap_err();
    assert!(matches!(error, ProgramError::NotElf(_)), "{error}");

    // Bytes 18 and 19 are the machine: 8 is MIPS.
    let mut foreign = compile(folder.path(), &["-static"]);
    foreign[18] = 8;
    let error = Program::read(foreign).unwrap_err();
    assert_eq!(error, ProgramError::UnsupportedArchitecture(8));
}
