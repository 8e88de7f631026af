//! `assemble images build`: compiles the programs of a cargo workspace and makes their images.

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

const MANIFEST: &str = r#"[workspace]
[package]
name = "web"
version = "1.2.3"
edition = "2024"
license = "MIT"
repository = "https://example.com/web"
[profile.dist]
inherits = "release"
strip = true
"#;

const LOCK: &str = "version = 4\n\n[[package]]\nname = \"web\"\nversion = \"1.2.3\"\n";

/// `file!` and the location of a panic are what rustc writes into programs.
const MAIN: &str = r#"fn main() {
    let word = std::env::args().nth(1).expect("an argument");
    println!("{word} from {}", file!());
    std::process::exit(3);
}
"#;

const LOCAL: &str = "image_budget: 2 MB\nlocal: { binary: web, build: cargo build }\n";

/// A project whose only component is a cargo package without dependencies.
fn project(folder: &str) -> (Project, Project) {
    let parent = Project::empty();
    let project = Project::at(parent.root().join(folder));
    project.write("Cargo.toml", MANIFEST);
    project.write("Cargo.lock", LOCK);
    project.write("src/main.rs", MAIN);
    project.write("LICENSE-MIT", "The licence of web.\n");
    project.write("assemblies/values/example.yaml", support::VALUES);
    project.write("assemblies/shop.yaml", support::SHOP);
    project.write("apps/web/component.yaml", support::WEB.to_owned() + LOCAL);
    (project, parent)
}

fn build(project: &Project, more: &[&str]) -> CommandOutput {
    project.assemble(&[&["images", "build"], more].concat())
}

fn digest(output: &CommandOutput) -> String {
    assert_eq!(output.code, Some(0), "{}", output.err);
    let row = output.out.lines().nth(1).unwrap();
    row.rsplit(' ').next().unwrap().to_owned()
}

fn layout(project: &Project) -> Layout {
    Layout::open(&project.root().join(".assemble/images/web")).unwrap()
}

fn config(project: &Project) -> ImageConfig {
    layout(project).image("linux/amd64").unwrap().1
}

fn unpack(project: &Project, root: &Path) {
    let layout = layout(project);
    let (manifest, _) = layout.image("linux/amd64").unwrap();
    fs::create_dir(root).unwrap();
    let is_root = is_root_user();
    let owners = |user, group| is_root.then_some((user, group));
    let mut unpacker = Unpacker::new(root, &owners, UnpackLimits::default()).unwrap();
    unpacker
        .layer(layout.blob(&manifest.layers[0]).unwrap().as_slice())
        .unwrap();
    unpacker.finish().unwrap();
}

fn is_root_user() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn git(project: &Project, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(arguments)
        .current_dir(project.root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_component_becomes_an_image_that_runs_in_an_empty_root() {
    let (project, _parent) = project("shop");
    let first = digest(&build(&project, &[]));
    let config = config(&project).config;
    assert_eq!(config.cmd, ["serve"]);
    assert_eq!(config.env, ["MALLOC_MMAP_THRESHOLD_=131072"]);
    let label = |name: &str| config.labels[&format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("version"), "1.2.3");
    assert_eq!(label("licenses"), "MIT");
    assert_eq!(label("source"), "https://example.com/web");

    let root = project.root().join("root");
    unpack(&project, &root);
    let licence = fs::read_to_string(root.join("licenses/LICENSE-MIT")).unwrap();
    assert_eq!(licence, "The licence of web.\n");
    let notice = fs::read_to_string(root.join("licenses/NOTICE")).unwrap();
    assert!(notice.contains("web 1.2.3 (MIT)"), "{notice}");
    assert!(notice.contains("GNU C Library"), "{notice}");

    let again = build(&project, &["web"]);
    assert!(again.err.contains("up to date"), "{}", again.err);
    assert_eq!(digest(&again), first);

    if is_root_user() {
        let mut chroot = Command::new("chroot");
        chroot.arg("--userspec=65532:65532").arg(&root);
        let output = chroot.args(["/web", "serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(output.stdout, b"serve from src/main.rs\n");
    } else {
        eprintln!("skipped: only root can change the root directory");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_same_sources_give_the_same_digest_in_another_folder() {
    let (one, _parent) = project("a");
    let (two, _other_parent) = project("a-folder-with-a-longer-name");
    let first = digest(&build(&one, &[]));
    assert_eq!(digest(&build(&two, &[])), first);

    let root = two.root().join("root");
    unpack(&two, &root);
    let program = fs::read(root.join("web")).unwrap();
    let folder = two.root().to_str().unwrap().as_bytes();
    let is_in_program = program.windows(folder.len()).any(|part| part == folder);
    assert!(
        !is_in_program,
        "the program contains the path of its sources"
    );
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_revision_is_the_last_commit_that_changed_the_sources() {
    let (project, _parent) = project("shop");
    project.write(".gitignore", "target\n.assemble\n");
    git(&project, &["init", "--quiet"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "--quiet", "-m", "first"]);
    let commit = git(&project, &["rev-parse", "HEAD"]);
    let before = digest(&build(&project, &[]));
    let revision = "org.opencontainers.image.revision";
    assert_eq!(config(&project).config.labels[revision], commit);

    project.write("src/main.rs", MAIN.replace("an argument", "one argument"));
    assert_ne!(digest(&build(&project, &[])), before);
    let labels = config(&project).config.labels;
    assert!(!labels.contains_key(revision), "uncommitted: {labels:?}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn an_image_over_its_budget_is_written_and_exits_1() {
    let (project, _parent) = project("shop");
    let small = support::WEB.to_owned() + &LOCAL.replace("2 MB", "10 kB");
    project.write("apps/web/component.yaml", small);
    let output = build(&project, &["--assembly", "shop"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    assert!(
        output.err.contains("over its `image_budget` of 10.0 kB"),
        "{}",
        output.err
    );
    assert!(layout(&project).image("linux/amd64").is_ok());
}

/// A component whose program contains what its `prepare` program printed.
fn project_with_prepare(script: &str) -> (Project, Project) {
    let (project, parent) = project("shop");
    let prepared = "licenses: MIT AND Zlib # of the library\n\
        build: { prepare: library/build, environment: { LIBRARY: fixed, LIBRARY_KIND: fixed } }\n";
    let component = support::WEB.to_owned() + LOCAL + prepared;
    project.write("apps/web/component.yaml", component);
    project.write(
        "src/main.rs",
        "fn main() { println!(\"{} {}\", env!(\"LIBRARY\"), env!(\"LIBRARY_KIND\")); }\n",
    );
    project.write("apps/web/library/licenses/zlib", "The licence of zlib.\n");
    project.write("apps/web/library/build", script);
    let script = project.root().join("apps/web/library/build");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    (project, parent)
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_prepare_program_gives_variables_and_licence_texts() {
    let (project, _parent) = project_with_prepare(
        "#!/bin/sh\necho preparing >&2\necho LIBRARY=$1\necho licenses=library/licenses\n",
    );
    let output = build(&project, &["web"]);
    digest(&output);
    assert!(output.err.contains("preparing"), "{}", output.err);
    let labels = config(&project).config.labels;
    assert_eq!(labels["org.opencontainers.image.licenses"], "MIT AND Zlib");

    let root = project.root().join("root");
    unpack(&project, &root);
    let program = Command::new(root.join("web")).output().unwrap();
    assert_eq!(program.stdout, b"x86_64-unknown-linux-gnu fixed\n");
    let text = fs::read_to_string(root.join("licenses/zlib")).unwrap();
    assert_eq!(text, "The licence of zlib.\n");
    let notice = fs::read_to_string(root.join("licenses/NOTICE")).unwrap();
    assert!(notice.contains("licence in zlib"), "{notice}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_prepare_program_that_fails_is_explained() {
    for (script, message) in [
        ("exit 3", "exit status: 3; its messages are above"),
        ("echo compiling", "line 1 of its output is `compiling`"),
        ("yes A=1", "its output exceeds"),
        ("echo licenses=none", "cannot read the licence texts in"),
        ("mkdir empty; echo licenses=empty", "the folder is empty"),
        (
            "touch library/licenses/NOTICE; echo licenses=library/licenses",
            "include `NOTICE`",
        ),
    ] {
        let (project, _parent) = project_with_prepare(&format!("#!/bin/sh\n{script}\n"));
        // Compiles only where the output is accepted.
        project.write("src/main.rs", "fn main() {}\n");
        let output = build(&project, &["web"]);
        assert_eq!(output.code, Some(2), "{script}: {}", output.err);
        assert!(output.err.contains(message), "{script}: {}", output.err);
        assert!(output.err.contains("build.prepare"), "{}", output.err);
    }

    let (project, _parent) = project_with_prepare("#!/bin/sh\n");
    fs::remove_file(project.root().join("apps/web/library/build")).unwrap();
    let output = build(&project, &["web"]);
    assert_eq!(output.code, Some(2));
    assert!(output.err.contains("No such file"), "{}", output.err);
}

#[test]
fn a_component_that_does_not_compile_is_an_error() {
    let (project, _parent) = project("shop");
    project.write("src/main.rs", "fn main() { nothing }\n");
    let output = build(&project, &["web"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.err.contains("cannot find value `nothing`"),
        "{}",
        output.err
    );
    assert!(
        output.err.contains("cannot compile `web`"),
        "{}",
        output.err
    );
}

#[test]
fn components_without_a_program_are_explained() {
    let (project, _parent) = project("shop");
    let third_party = support::PROXY.to_owned() + "container: {}\nlocal: stub\n";
    project.write("assemblies/components/tls/component.yaml", third_party);
    let misnamed = support::WEB.replace("name: web", "name: other");
    project.write(
        "apps/other/component.yaml",
        misnamed + "local: { binary: nowhere }\n",
    );

    for (arguments, message) in [
        (
            &["tls"][..],
            "its image is ${registry}/tls:1: there is nothing to build",
        ),
        (&["wev"], "did you mean `web`?"),
        (&["other"], "no package of"),
        (&["--assembly", "shops"], "did you mean `shop`?"),
        (&["web", "--platform", "linux/riscv64"], "linux/arm64"),
    ] {
        let output = build(&project, arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.err);
        assert!(
            output.err.contains(message),
            "{arguments:?}: {}",
            output.err
        );
    }
}

#[test]
fn without_a_workspace_the_error_names_the_alternative() {
    let project = Project::new();
    project.write("apps/web/component.yaml", support::WEB.to_owned() + LOCAL);
    let output = build(&project, &["web"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.err.contains("cannot read the cargo workspace"),
        "{}",
        output.err
    );

    let empty = Project::empty();
    let output = build(&empty, &[]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.err.contains("--binary FILE --name NAME"),
        "{}",
        output.err
    );
}
