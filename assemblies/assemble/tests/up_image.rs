//! `assemble up --image`: what is in an image of others runs like everything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use support::Project;

const AGENT: &str = r#"{ "family": "boxed", "containerDefinitions": [
    { "name": "agent", "image": "localhost/agent:1" } ] }"#;

/// A store of podman's of its own, with one image in it.
struct Store(Project);

impl Store {
    /// None, and a word, where there is no podman or nothing to put into an image.
    fn new() -> Option<Self> {
        let store = Self(Project::empty());
        let root = store.0.root().join("files");
        fs::create_dir_all(root.join("bin")).unwrap();

        if fs::copy("/bin/busybox", root.join("bin/busybox")).is_err() {
            eprintln!("skipped: there is no /bin/busybox (Debian: busybox-static)");
            return None;
        }

        symlink("busybox", root.join("bin/sh")).unwrap();
        let folder = store.0.root().display();
        let conf = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{folder}/graph\"\nrunroot = \"{folder}/run\"\n"
        );

        store.0.write("storage.conf", conf);
        let tar = store.0.root().join("files.tar");
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status();

        assert!(packed.unwrap().success());
        let mut import = store.command("podman");
        import.args([
            "import",
            "--change",
            "ENV SHAPE=round",
            "--change",
            "WORKDIR /room",
        ]);

        import.args([
            "--change",
            r#"CMD ["sh","-c","echo shape $SHAPE; pwd; exit 7"]"#,
        ]);

        match import.arg(&tar).arg("localhost/agent:1").output() {
            Ok(done) if done.status.success() => Some(store),
            Ok(done) => {
                eprintln!(
                    "skipped: podman does not import: {}",
                    String::from_utf8_lossy(&done.stderr)
                );
                None
            }
            Err(_) => {
                eprintln!("skipped: there is no podman (Debian: podman)");
                None
            }
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env(
            "CONTAINERS_STORAGE_CONF",
            self.0.root().join("storage.conf"),
        );
        command.env("NO_COLOR", "1").current_dir(self.0.root());
        command
    }

    fn up(&self, words: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_assemble"));
        command.args(["up", "task.json"]).args(words);
        command.output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_image_of_others_is_unpacked_once_and_runs() {
    let Some(store) = Store::new() else { return };
    store.0.write("task.json", AGENT);
    let first = store.up(&["--image", "agent"]);
    let (out, err) = (text(&first.stdout), text(&first.stderr));

    if err.contains("mounts of its own") {
        eprintln!("skipped: this machine gives out no namespaces");
        return;
    }

    assert_eq!(first.status.code(), Some(7), "{out}{err}");
    assert!(
        out.contains("shape round") && out.contains("/room"),
        "{out}{err}"
    );
    assert!(err.contains("podman unpacks localhost/agent:1"), "{err}");

    let left = store
        .command("podman")
        .args(["ps", "--all", "--quiet"])
        .output();

    assert_eq!(
        text(&left.unwrap().stdout),
        "",
        "no container of podman's is left"
    );

    let again = store.up(&["--image", "agent=podman", "--env", "SHAPE=flat"]);
    let (out, err) = (text(&again.stdout), text(&again.stderr));
    assert!(out.contains("shape flat"), "{out}{err}");
    assert!(!err.contains("unpacks"), "{err}");
}

#[test]
fn an_image_that_is_nowhere_is_told_with_the_ways_out() {
    let Some(store) = Store::new() else { return };
    store
        .0
        .write("task.json", AGENT.replace("agent:1", "absent:1"));

    let done = store.up(&["--image", "agent"]);
    let err = text(&done.stderr);
    if err.contains("mounts of its own") {
        eprintln!("skipped: this machine gives out no namespaces");
        return;
    }

    assert_eq!(done.status.code(), Some(127), "{err}");
    assert!(
        err.contains("`agent`: `podman pull localhost/absent:1`"),
        "{err}"
    );
    assert!(err.contains("--program"), "{err}");
}

#[test]
fn without_an_engine_the_other_ways_are_told() {
    let project = Project::empty();
    project.write("task.json", AGENT);
    let empty = project.root().join("nothing");
    fs::create_dir(&empty).unwrap();

    let up = |words: &[&str], path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .args(["up", "task.json"])
            .args(words)
            .env("PATH", path);
        let done = command.current_dir(project.root()).output().unwrap();
        (done.status.code(), text(&done.stderr))
    };

    let (code, err) = up(&[], &empty);
    assert_eq!(code, Some(127), "{err}");
    for way in [
        "--program agent=FILE",
        "--image agent",
        "--stub agent",
        "--skip agent",
    ] {
        assert!(err.contains(way), "{way}: {err}");
    }

    let (code, err) = up(&["--image", "agent"], &empty);
    assert_eq!(code, Some(127), "{err}");
    let told = ["podman, docker", "mounts of its own"];
    assert!(told.iter().any(|words| err.contains(words)), "{err}");

    let (code, err) = up(&["--image", "agnt"], &empty);
    assert_eq!(code, Some(125), "{err}");
    assert!(err.contains("agnt"), "{err}");

    // An engine that fails is told in its own words.
    let engine = project.write(
        "nothing/docker",
        "#!/bin/sh\necho 'Cannot connect to the daemon' >&2; exit 1\n",
    );

    fs::set_permissions(engine, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, err) = up(&["--image", "agent=docker"], &empty);
    assert_eq!(code, Some(127), "{err}");
    assert!(
        told[1..]
            .iter()
            .chain(["Cannot connect to the daemon"].iter())
            .any(|words| err.contains(words)),
        "{err}"
    );
}
