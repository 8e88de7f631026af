//! `assemble images build --binary`: the image of a program that was built elsewhere.

#![cfg(feature = "lock")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use registry::layout::{ImageConfig, Layout, UnpackLimits, Unpacker};
use support::{CommandOutput, Project};

const SOURCE: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    printf("%d %s\n", getuid(), argv[1]);
    return 3;
}
"#;

/// A directory with a static program, and the same program linked dynamically.
fn project() -> Project {
    let project = Project::empty();
    project.write("hello.c", SOURCE);
    compile(&project, "hello", &["-static-pie"]);
    compile(&project, "dynamic", &[]);
    project
}

fn compile(project: &Project, name: &str, flags: &[&str]) {
    let mut command = Command::new("cc");
    command.args(flags).args(["-o", name, "hello.c"]);
    let status = command.current_dir(project.root()).status().unwrap();
    assert!(status.success());
}

fn build(project: &Project, more: &[&str]) -> CommandOutput {
    let arguments = ["images", "build", "--binary", "hello", "--name", "hello"];
    project.assemble(&[&arguments[..], more].concat())
}

fn layout(project: &Project, name: &str) -> Layout {
    Layout::open(&project.root().join(".assemble/images").join(name)).unwrap()
}

fn config(project: &Project, name: &str) -> ImageConfig {
    layout(project, name).image(PLATFORM).unwrap().1
}

/// Returns the digest in the last column of the table.
fn digest(output: &CommandOutput) -> String {
    assert_eq!(output.code, Some(0), "{}", output.err);
    let row = output.out.lines().nth(1).unwrap();
    row.rsplit(' ').next().unwrap().to_owned()
}

/// Whether a program is there; the test is skipped by name otherwise.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no {program} (`tests/setup test` installs it)");
    }
    found
}

#[cfg(target_arch = "x86_64")]
const PLATFORM: &str = "linux/amd64";
#[cfg(target_arch = "aarch64")]
const PLATFORM: &str = "linux/arm64";

#[test]
fn the_image_has_the_facts_of_the_command_line() {
    let project = project();
    let facts = ["--port", "8080", "--folder", "/tmp", "--folder", "/data"];
    let label = ["--label", "team=shop", "--", "serve", "--fast"];
    let output = build(&project, &[&facts[..], &label].concat());
    assert!(output.out.contains("COMPRESSED"), "{}", output.out);
    assert!(digest(&output).starts_with("sha256:"), "{}", output.out);

    let config = config(&project, "hello").config;
    assert_eq!(config.entrypoint, ["/hello"]);
    assert_eq!(config.cmd, ["serve", "--fast"]);
    assert_eq!(config.user, "65532:65532");
    assert_eq!(config.stop_signal, "SIGTERM");
    assert_eq!(config.labels["team"], "shop");
    let ports: Vec<&String> = config.exposed_ports.keys().collect();
    assert_eq!(ports, ["8080/tcp"]);
    let volumes: Vec<&String> = config.volumes.keys().collect();
    assert_eq!(volumes, ["/data", "/run/assemble", "/tmp"]);
}

#[test]
fn a_component_of_the_same_name_supplies_its_facts() {
    let project = project();
    let component = support::WEB.to_owned() + "image_budget: 1 kB\nfiles: [/tmp]\n";
    project.write("assemblies/components/web/component.yaml", component);
    let arguments = ["images", "build", "--binary", "hello", "--name", "web"];
    let output = project.assemble(&arguments);

    // The image is written and shown, and over its budget.
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert!(output.out.contains("1000 B"), "{}", output.out);
    assert!(
        output.err.contains("over its `image_budget` of 1000 B"),
        "{}",
        output.err
    );

    let config = config(&project, "web").config;
    assert_eq!(config.cmd, ["serve"]);
    assert!(config.exposed_ports.contains_key("8080/tcp"));
    assert!(config.volumes.contains_key("/tmp"));
    let description = &config.labels["org.opencontainers.image.description"];
    assert_eq!(description, "Responds");
}

#[test]
fn an_unchanged_image_is_not_compressed_again() {
    let project = project();
    let first = digest(&build(&project, &[]));
    let again = build(&project, &[]);
    assert_eq!(digest(&again), first);
    assert!(again.err.contains("up to date"), "{}", again.err);

    // Another fact, another compression, and damage are changes.
    for more in [&["--port", "80"][..], &["--compression", "gzip"], &[]] {
        let changed = build(&project, more);
        assert!(changed.err.contains("compressing"), "{}", changed.err);
    }

    let (manifest, _) = layout(&project, "hello").image(PLATFORM).unwrap();
    let blob = manifest.layers[0].digest.trim_start_matches("sha256:");
    let blob = project
        .root()
        .join(".assemble/images/hello/blobs/sha256")
        .join(blob);
    fs::write(&blob, "damaged").unwrap();
    assert_eq!(digest(&build(&project, &[])), first);
    assert!(layout(&project, "hello").blob(&manifest.layers[0]).is_ok());
}

#[test]
fn folder_name_times_and_umask_do_not_change_the_digest() {
    let first = digest(&build(&project(), &[]));

    // The program is copied: the linker need not be reproducible.
    let (origin, other) = (project(), Project::empty());
    let program = other.root().join("hello");
    fs::copy(origin.root().join("hello"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let script = format!(
        "umask 077; touch -d 2001-01-01 hello; {} images build --binary hello --name hello --output elsewhere",
        env!("CARGO_BIN_EXE_assemble")
    );
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", &script])
        .current_dir(other.root())
        .output()
        .unwrap();

    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&first), "{text} is not {first}");
    assert!(other.root().join("elsewhere/hello/index.json").is_file());
}

#[test]
fn the_source_date_is_that_of_every_entry() {
    let project = project();
    let with_date = |date: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .args(["images", "build", "--binary", "hello", "--name", "hello"])
            .args(["--compression", "gzip"])
            .env("SOURCE_DATE_EPOCH", date)
            .current_dir(project.root());
        command.output().unwrap()
    };
    assert!(with_date("951782400").status.success());

    let layout = layout(&project, "hello");
    let (manifest, config) = layout.image(PLATFORM).unwrap();
    assert_eq!(config.created.as_deref(), Some("2000-02-29T00:00:00Z"));
    let blob = manifest.layers[0].digest.trim_start_matches("sha256:");
    let blob = layout.folder().join("blobs/sha256").join(blob);
    let mut tar = Command::new("tar");
    tar.args(["--full-time", "-tvzf"])
        .arg(blob)
        .env("TZ", "UTC");
    let listing = String::from_utf8(tar.output().unwrap().stdout).unwrap();
    let entries: Vec<&str> = listing.lines().collect();
    assert!(entries.len() >= 5, "{listing}");
    let is_dated = |entry: &&str| entry.contains("2000-02-29 00:00:00");
    assert!(entries.iter().all(is_dated), "{listing}");

    for invalid in ["yesterday", "-1", "99999999999"] {
        let output = with_date(invalid);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("seconds since 1970"), "{text}");
    }
}

fn unpack(layer: &[u8], root: &Path) {
    // Only root can set owners; tests also run without.
    let owners = |_, _| None;
    let mut unpacker = Unpacker::new(root, &owners, UnpackLimits::default()).unwrap();
    unpacker.layer(layer).unwrap();
    unpacker.finish().unwrap();
}

#[test]
fn certificate_authorities_are_added_on_request() {
    let project = project();
    digest(&build(&project, &["--ca-certificates"]));
    let layout = layout(&project, "hello");
    let (manifest, _) = layout.image(PLATFORM).unwrap();
    let root = project.root().join("root");
    fs::create_dir(&root).unwrap();
    unpack(&layout.blob(&manifest.layers[0]).unwrap(), &root);

    let file = root.join("etc/ssl/certs/ca-certificates.crt");
    let pem = fs::read_to_string(&file).unwrap();
    assert!(pem.matches("BEGIN CERTIFICATE").count() > 100);
    if has("openssl") {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(["storeutl", "-noout", "-certs"]).arg(&file);
        let text = String::from_utf8_lossy(&output.output().unwrap().stdout).into_owned();
        let expected = format!("Total found: {}", pem.matches("BEGIN CERTIFICATE").count());
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_dynamic_program_needs_a_base_whose_configuration_is_kept() {
    let project = project();
    let dynamic = [
        "images", "build", "--binary", "dynamic", "--name", "dynamic",
    ];
    let refused = project.assemble(&dynamic);
    assert_eq!(refused.code, Some(2));
    for part in [
        "`dynamic`: linked dynamically",
        "libc.so.6",
        "crt-static",
        "--base",
    ] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }

    digest(&build(
        &project,
        &["--port", "80", "--label", "a=base", "--label", "b=base"],
    ));
    let base = ".assemble/images/hello";
    let on_base = [
        "--base", base, "--port", "81", "--label", "b=own", "--", "go",
    ];
    let output = project.assemble(&[&dynamic[..], &on_base].concat());
    digest(&output);

    let layout = layout(&project, "dynamic");
    let (manifest, config) = layout.image(PLATFORM).unwrap();
    assert_eq!(manifest.layers.len(), 2);
    assert_eq!(config.rootfs.diff_ids.len(), 2);
    for layer in &manifest.layers {
        layout.verify(layer).unwrap();
    }

    let config = config.config;
    assert_eq!(config.entrypoint, ["/dynamic"]);
    assert_eq!(config.cmd, ["go"]);
    assert_eq!(config.user, "65532:65532");
    assert_eq!(config.labels["a"], "base");
    assert_eq!(config.labels["b"], "own");
    let ports: Vec<&String> = config.exposed_ports.keys().collect();
    assert_eq!(ports, ["80/tcp", "81/tcp"]);

    // The same base as an archive gives the same image.
    let mut tar = Command::new("tar");
    let folder = project.root().join(base);
    tar.arg("-C").arg(folder).args(["-cf", "base.tar", "."]);
    assert!(tar.current_dir(project.root()).status().unwrap().success());
    let archive = [
        "--base", "base.tar", "--port", "81", "--label", "b=own", "--", "go",
    ];
    let again = project.assemble(&[&dynamic[..], &archive].concat());
    assert_eq!(digest(&again), digest(&output));
    assert!(
        !project
            .root()
            .join(".assemble/images/dynamic.base")
            .exists()
    );
}

#[test]
fn a_damaged_base_is_refused() {
    let project = project();
    digest(&build(&project, &[]));
    let (manifest, _) = layout(&project, "hello").image(PLATFORM).unwrap();
    let blob = manifest.layers[0].digest.trim_start_matches("sha256:");
    let blob = project
        .root()
        .join(".assemble/images/hello/blobs/sha256")
        .join(blob);
    let on_base = [
        "images", "build", "--binary", "dynamic", "--name", "dynamic",
    ];
    let on_base = [&on_base[..], &["--base", ".assemble/images/hello"]].concat();

    fs::write(&blob, "damaged").unwrap();
    let output = project.assemble(&on_base);
    assert_eq!(output.code, Some(2), "{}", output.out);
    assert!(output.err.contains("was altered"), "{}", output.err);

    fs::remove_file(&blob).unwrap();
    let output = project.assemble(&on_base);
    assert_eq!(output.code, Some(2), "{}", output.out);
    assert!(output.err.contains("has no blob"), "{}", output.err);
}

#[test]
fn programs_for_two_platforms_make_an_index() {
    let project = project();
    // Bytes 18 and 19 are the machine (ELF specification, e_machine): 62 is x86-64, 183 AArch64. The stand-in for the
    // other platform is never run.
    let mut other = fs::read(project.root().join("hello")).unwrap();
    other[18] = if other[18] == 62 { 183 } else { 62 };
    project.write("other", other);
    let output = build(&project, &["--binary", "other"]);
    let digest = digest(&output);
    assert!(output.out.contains("linux/amd64"), "{}", output.out);
    assert!(output.out.contains("linux/arm64"), "{}", output.out);

    let layout = layout(&project, "hello");
    assert_eq!(layout.index().manifests[0].digest, digest);
    for platform in ["linux/amd64", "linux/arm64"] {
        let (_, config) = layout.image(platform).unwrap();
        assert_eq!(config.platform().name(), platform);
    }

    let again = build(&project, &["--binary", "other"]);
    assert!(again.err.contains("up to date"), "{}", again.err);
    let twice = build(&project, &["--binary", "hello"]);
    assert_eq!(twice.code, Some(2));
    assert!(twice.err.contains("second program for"), "{}", twice.err);
}

#[test]
fn other_tools_read_the_image() {
    let project = project();
    digest(&build(&project, &["--compression", "gzip"]));
    let image = "oci:.assemble/images/hello:latest";
    if has("skopeo") {
        let mut skopeo = Command::new("skopeo");
        skopeo
            .args(["inspect", "--config", image])
            .current_dir(project.root());
        let output = skopeo.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(r#""StopSignal": "SIGTERM""#), "{text}");
    }

    if has("umoci") {
        let mut umoci = Command::new("umoci");
        umoci.args(["unpack", "--rootless", "--image"]);
        umoci.args([".assemble/images/hello:latest", "bundle"]);
        let output = umoci.current_dir(project.root()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let program = project.root().join("bundle/rootfs/hello");
        assert_eq!(
            fs::read(program).unwrap(),
            fs::read(project.root().join("hello")).unwrap()
        );
    }
}

#[test]
fn bad_input_is_refused_with_what_to_do() {
    let project = project();
    for (arguments, message) in [
        (
            &["--binary", "hello", "--name", "Hello"][..],
            "lower-case letters",
        ),
        (
            &["--binary", "hello", "--name", "../x"],
            "lower-case letters",
        ),
        (&["--binary", "hello", "--name", "etc"], "none of"),
        (
            &["--binary", "absent", "--name", "x"],
            "cannot read `absent`",
        ),
        (
            &["--binary", "hello.c", "--name", "x"],
            "not a 64-bit Linux program",
        ),
        (
            &[
                "--binary",
                "hello",
                "--name",
                "x",
                "--base",
                "example.com/x",
            ],
            "skopeo copy docker://example.com/x",
        ),
        (
            &["--binary", "hello", "--name", "x", "--base", "hello.c"],
            "cannot read the base `hello.c`",
        ),
        (
            &["--binary", "hello", "--name", "x", "--folder", "/a/../b"],
            "not a path inside an image",
        ),
        (
            &["--binary", "hello", "--name", "x", "--folder", "data"],
            "not a path inside an image",
        ),
        (
            &["--binary", "hello", "--name", "x", "--folder", "/data:ro"],
            "not a path inside an image",
        ),
        (&["--binary", "hello"], "--name"),
    ] {
        let output = project.assemble(&[&["images", "build"], arguments].concat());
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.err);
        assert!(
            output.err.contains(message),
            "{arguments:?}: {}",
            output.err
        );
    }
}

#[test]
fn files_that_are_no_linux_program_are_refused_without_reading_them_forever() {
    let project = project();
    let mut elf32 = fs::read(project.root().join("hello")).unwrap();
    elf32[4] = 1;
    project.write("script", "#!/bin/sh -e\nexit\n");
    project.write("empty", "");
    for (name, content) in [
        ("elf32", elf32.as_slice()),
        ("mach-o", b"\xcf\xfa\xed\xfe\x07\0\0\x01"),
        ("fat", b"\xca\xfe\xba\xbe\0\0\0\x02"),
        ("hello.exe", b"MZ\x90\0"),
    ] {
        fs::write(project.root().join(name), content).unwrap();
    }
    let fifo = project.root().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // Without content on the disk; reading it would take as much memory.
    let huge = fs::File::create(project.root().join("huge")).unwrap();
    huge.set_len(64 << 30).unwrap();

    for (file, message) in [
        ("/dev/zero", "is a device, a pipe or a socket"),
        ("fifo", "is a device, a pipe or a socket"),
        (".", "is a directory"),
        ("huge", "is larger than 1 GiB"),
        ("empty", "the file is empty"),
        ("script", "a script for `/bin/sh -e`"),
        ("elf32", "a 32-bit ELF file"),
        ("mach-o", "a program for macOS"),
        ("fat", "a program for macOS"),
        ("hello.exe", "a program for Windows"),
    ] {
        let output = project.assemble(&["images", "build", "--binary", file, "--name", "x"]);
        assert_eq!(output.code, Some(2), "{file}: {}", output.err);
        assert!(output.err.contains(message), "{file}: {}", output.err);
    }
}

#[test]
fn a_folder_that_is_no_earlier_build_is_not_replaced() {
    let project = project();
    let refused = |message: &str| {
        let output = build(&project, &["--output", "out"]);
        assert_eq!(output.code, Some(2), "{}", output.err);
        assert!(output.err.contains(message), "{}", output.err);
        assert!(output.err.contains("--output"), "{}", output.err);
    };

    project.write("out/hello/notes.txt", "mine");
    refused("has `notes.txt`");
    project.write("out/hello/blobs/photo.jpg", "mine");
    fs::remove_file(project.root().join("out/hello/notes.txt")).unwrap();
    refused("has `photo.jpg`");
    assert!(project.root().join("out/hello/blobs/photo.jpg").exists());
    fs::remove_dir_all(project.root().join("out/hello")).unwrap();

    // The layout of another program, as `skopeo copy` could have written it.
    let other = ["--binary", "hello", "--name", "other", "--output", "out"];
    let output = project.assemble(&[&["images", "build"], &other[..]].concat());
    assert_eq!(output.code, Some(0), "{}", output.err);
    fs::rename(
        project.root().join("out/other"),
        project.root().join("out/hello"),
    )
    .unwrap();
    refused("the image of another program, `/other`");
    fs::remove_dir_all(project.root().join("out/hello")).unwrap();
    project.write("out/hello", "a file");
    refused("is not a directory");
    fs::remove_file(project.root().join("out/hello")).unwrap();

    // An earlier build is replaced, also one that was interrupted or damaged.
    assert_eq!(build(&project, &["--output", "out"]).code, Some(0));
    fs::remove_file(project.root().join("out/hello/index.json")).unwrap();
    assert_eq!(
        build(&project, &["--output", "out", "--", "serve"]).code,
        Some(0)
    );
}

#[test]
fn a_full_disk_leaves_the_earlier_image_readable() {
    let project = project();
    assert_eq!(build(&project, &[]).code, Some(0));
    let before = layout(&project, "hello").index().clone();

    // A limit on the size of files: writing fails as on a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 0; exec '{}' images build --binary hello --name hello -- other",
        env!("CARGO_BIN_EXE_assemble")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(project.root())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("cannot write"), "{message}");
    let layout = layout(&project, "hello");
    assert_eq!(*layout.index(), before);
    for descriptor in layout.manifests().unwrap() {
        let (manifest, _) = layout.documents(&descriptor).unwrap();
        assert!(
            manifest
                .layers
                .iter()
                .all(|layer| self::layout(&project, "hello").verify(layer).is_ok())
        );
    }

    assert_eq!(build(&project, &["--", "other"]).code, Some(0));
}
