//! `assemble up --image`: runs a container from a third-party image.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use support::Project;

const AGENT: &str = r#"{ "family": "boxed", "containerDefinitions": [
    { "name": "agent", "image": "localhost/agent:1" } ] }"#;

/// A separate podman storage with one image in it.
struct Store(Project);

impl Store {
    /// Returns `None`, with a message, without podman or without a static binary for the image.
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
        // `vfs` works in any directory and without privileges.
        let conf = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{folder}/graph\"\nrunroot = \"{folder}/run\"\n"
        );

        store.0.write("storage.conf", conf);
        let tar = store.0.root().join("files.tar");
        let tar_status = Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status();

        assert!(tar_status.unwrap().success());
        let mut import = store.command("podman");
        import.args([
            "import",
            "--change",
            "ENV COLOR=red",
            "--change",
            "WORKDIR /data",
        ]);

        import.args([
            "--change",
            r#"CMD ["sh","-c","echo color $COLOR; pwd; exit 7"]"#,
        ]);

        match import.arg(&tar).arg("localhost/agent:1").output() {
            Ok(output) if output.status.success() => Some(store),
            Ok(output) => {
                eprintln!(
                    "skipped: podman import failed: {}",
                    String::from_utf8_lossy(&output.stderr)
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

    fn up(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_assemble"));
        command.args(["up", "task.json"]).args(arguments);
        command.output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_third_party_image_is_unpacked_once_and_runs() {
    let Some(store) = Store::new() else { return };
    store.0.write("task.json", AGENT);
    let first = store.up(&["--image", "agent"]);
    let (out, err) = (text(&first.stdout), text(&first.stderr));

    if err.contains("needs mount namespaces") {
        eprintln!("skipped: this host does not allow namespaces");
        return;
    }

    // 7 is the exit code of the image's command.
    assert_eq!(first.status.code(), Some(7), "{out}{err}");
    assert!(
        out.contains("color red") && out.contains("/data"),
        "{out}{err}"
    );
    assert!(
        err.contains("unpacking localhost/agent:1 with podman"),
        "{err}"
    );

    let containers = store
        .command("podman")
        .args(["ps", "--all", "--quiet"])
        .output();

    assert_eq!(
        text(&containers.unwrap().stdout),
        "",
        "podman has no container left"
    );

    // The second run uses the unpacked files; --env overrides the image's variable.
    let again = store.up(&["--image", "agent=podman", "--env", "COLOR=blue"]);
    let (out, err) = (text(&again.stdout), text(&again.stderr));
    assert!(out.contains("color blue"), "{out}{err}");
    assert!(!err.contains("unpacking"), "{err}");
}

#[test]
fn reports_an_image_that_cannot_be_pulled() {
    let Some(store) = Store::new() else { return };
    store
        .0
        .write("task.json", AGENT.replace("agent:1", "absent:1"));

    let output = store.up(&["--image", "agent"]);
    let err = text(&output.stderr);
    if err.contains("needs mount namespaces") {
        eprintln!("skipped: this host does not allow namespaces");
        return;
    }

    assert_eq!(output.status.code(), Some(127), "{err}");
    assert!(
        err.contains("`agent`: `podman pull localhost/absent:1`"),
        "{err}"
    );
    assert!(err.contains("--program"), "{err}");
}

#[test]
fn suggests_alternatives_without_an_engine() {
    let project = Project::empty();
    project.write("task.json", AGENT);
    // A PATH without podman and docker.
    let empty = project.root().join("nothing");
    fs::create_dir(&empty).unwrap();

    let up = |arguments: &[&str], path: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .args(["up", "task.json"])
            .args(arguments)
            .env("PATH", path);
        let output = command.current_dir(project.root()).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };

    let (code, err) = up(&[], &empty);
    assert_eq!(code, Some(127), "{err}");
    for option in [
        "--program agent=FILE",
        "--image agent",
        "--stub agent",
        "--skip agent",
    ] {
        assert!(err.contains(option), "{option}: {err}");
    }

    let (code, err) = up(&["--image", "agent"], &empty);
    assert_eq!(code, Some(127), "{err}");
    // Which of the two is reported depends on the host.
    let reasons = ["podman, docker", "needs mount namespaces"];
    assert!(reasons.iter().any(|reason| err.contains(reason)), "{err}");

    let (code, err) = up(&["--image", "agnt"], &empty);
    assert_eq!(code, Some(125), "{err}");
    assert!(err.contains("agnt"), "{err}");

    // The message of an engine that fails is passed on.
    let engine = project.write(
        "nothing/docker",
        "#!/bin/sh\necho 'Cannot connect to the daemon' >&2; exit 1\n",
    );

    fs::set_permissions(engine, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, err) = up(&["--image", "agent=docker"], &empty);
    assert_eq!(code, Some(127), "{err}");
    assert!(
        reasons[1..]
            .iter()
            .chain(["Cannot connect to the daemon"].iter())
            .any(|reason| err.contains(reason)),
        "{err}"
    );
}
