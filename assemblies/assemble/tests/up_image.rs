//! `assemble up --image` and `--images`: runs containers from layouts, archives and registries, without an engine.

#![cfg(all(feature = "up", feature = "lock"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

#[path = "support/images.rs"]
mod images;
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use registry::layout::{ContainerConfig, Owner};
use support::{CommandOutput, Project};

const AGENT: &str = r#"{ "family": "boxed", "containerDefinitions": [
    { "name": "agent", "image": "localhost/agent:1" } ] }"#;

/// Runs `up task.json` with a store of its own and an empty PATH: nothing may need another program.
fn up(project: &Project, arguments: &[&str]) -> CommandOutput {
    let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(["up", "task.json"])
        .args(arguments)
        .current_dir(project.root())
        .env("XDG_CACHE_HOME", project.root().join("cache"))
        .env("DOCKER_CONFIG", project.root())
        .env("PATH", "/nowhere")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Returns whether this host cannot run images, with a message.
fn is_skipped(output: &CommandOutput) -> bool {
    let skipped = output.err.contains("needs mount namespaces");
    if skipped {
        eprintln!("skipped: this host does not allow namespaces");
    }
    skipped
}

/// A project with a task definition and an image that prints its variable and its directory, and exits with 7.
fn agent() -> Option<Project> {
    let project = Project::empty();
    project.write("task.json", AGENT);
    let config = ContainerConfig {
        env: vec!["COLOR=red".to_owned()],
        working_dir: "/data".to_owned(),
        ..images::shell("echo color $COLOR; pwd; exit 7")
    };
    images::write(
        &project.root().join("agent"),
        &images::busybox()?,
        &[],
        config,
    );
    Some(project)
}

fn assert_ran(output: &CommandOutput, color: &str) {
    assert_eq!(output.code, Some(7), "{output:?}");
    let expected = format!("color {color}");
    assert!(
        output.out.contains(&expected) && output.out.contains("/data"),
        "{output:?}"
    );
}

#[test]
fn a_layout_is_unpacked_once_and_runs() {
    let Some(project) = agent() else { return };
    let first = up(&project, &["--image", "agent=oci:agent"]);
    if is_skipped(&first) {
        return;
    }
    assert_ran(&first, "red");
    assert!(
        first.err.contains("unpacking oci:agent (once)"),
        "{}",
        first.err
    );

    // The second run uses the unpacked files; --env overrides the image's variable.
    let again = up(
        &project,
        &["--image", "agent=./agent", "--env", "COLOR=blue"],
    );
    assert_ran(&again, "blue");
    assert!(!again.err.contains("unpacking"), "{}", again.err);
}

#[test]
fn an_archive_runs() {
    let Some(project) = agent() else { return };
    let packed = Command::new("tar")
        .args(["-cf", "agent.tar", "-C", "agent", "."])
        .current_dir(project.root())
        .status();
    assert!(packed.unwrap().success());
    let output = up(&project, &["--image", "agent=./agent.tar"]);
    if !is_skipped(&output) {
        assert_ran(&output, "red");
    }
}

#[test]
fn a_layout_runs_without_a_writable_cache() {
    let Some(project) = agent() else { return };
    // A file in the place of the directory, since root may write to every directory.
    project.write("cache", "");
    let output = up(&project, &["--image", "agent=./agent"]);
    if !is_skipped(&output) {
        assert_ran(&output, "red");
        assert!(project.root().join(".assemble/cache/images/roots").is_dir());
    }
}

#[test]
fn an_image_of_a_registry_runs_and_is_not_pulled_again() {
    let Some(project) = agent() else { return };
    let layout = project.root().join("agent");
    let address = images::serve(layout.clone());
    project.write(
        "task.json",
        AGENT.replace("localhost/", &format!("{address}/")),
    );
    let output = up(&project, &["--image", "agent"]);
    if is_skipped(&output) {
        return;
    }
    assert_ran(&output, "red");

    // Without its blobs the registry can only answer for the tag.
    fs::remove_dir_all(layout.join("blobs")).unwrap();
    assert_ran(&up(&project, &["--images"]), "red");
}

#[test]
fn an_image_that_was_built_here_comes_before_the_registry() {
    let Some(project) = agent() else { return };
    fs::create_dir_all(project.root().join(".assemble/images")).unwrap();
    let built = project.root().join(".assemble/images/agent");
    fs::rename(project.root().join("agent"), built).unwrap();
    let output = up(&project, &["--images"]);
    if !is_skipped(&output) {
        assert_ran(&output, "red");
    }
}

#[test]
fn a_volume_takes_the_owner_that_the_image_declares() {
    let Some(busybox) = images::busybox() else {
        return;
    };
    let project = Project::empty();
    project.write(
        "task.json",
        r#"{ "family": "boxed", "volumes": [{ "name": "sockets" }, { "name": "other" }], "containerDefinitions": [
            { "name": "agent", "image": "localhost/agent:1", "user": "65532:65532", "readonlyRootFilesystem": true,
              "mountPoints": [{ "sourceVolume": "sockets", "containerPath": "/run/assemble" },
                              { "sourceVolume": "other", "containerPath": "/other" }] } ] }"#,
    );
    let config = ContainerConfig {
        volumes: [("/run/assemble".to_owned(), serde_json::json!({}))].into(),
        ..images::shell(
            "echo x > /run/assemble/file && echo written; echo x > /other/file || exit 9",
        )
    };
    let folders = [
        ("run/assemble", Owner::NON_ROOT),
        ("other", Owner::NON_ROOT),
    ];
    images::write(&project.root().join("agent"), &busybox, &folders, config);

    let output = up(&project, &["--image", "agent=./agent"]);
    if is_skipped(&output) {
        return;
    }
    assert!(output.out.contains("written"), "{output:?}");
    // As on Fargate, a folder that is no VOLUME belongs to root; without root there is only one user.
    if rustix::process::geteuid().is_root() {
        assert_eq!(output.code, Some(9), "{output:?}");
    }
}

#[test]
fn what_cannot_be_read_is_reported_for_all_containers_together() {
    let project = Project::empty();
    let address = images::serve(project.root().to_owned());
    project.write(
        "task.json",
        format!(
            r#"{{ "family": "boxed", "containerDefinitions": [
                {{ "name": "one", "image": "{address}/absent/one:1" }}, {{ "name": "two", "image": "two" }} ] }}"#
        ),
    );
    let output = up(&project, &["--image", "one", "--image", "two=./two.tar"]);
    assert_eq!(output.code, Some(127), "{output:?}");
    if is_skipped(&output) {
        return;
    }
    assert!(
        output.err.contains("`one`: `") && output.err.contains("no such image"),
        "{output:?}"
    );
    assert!(
        output.err.contains("`two`: `./two.tar` does not exist"),
        "{output:?}"
    );
    assert!(output.err.contains("--program"), "{output:?}");
}

#[test]
fn an_engine_a_bad_source_and_an_unknown_container_are_usage_errors() {
    let project = Project::empty();
    project.write("task.json", AGENT);
    let output = up(&project, &["--image", "agent=podman"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.err.contains("--image agent"), "{output:?}");
    let output = up(&project, &["--image", "agent=A B"]);
    assert!(output.err.contains("oci:FOLDER"), "{output:?}");
    let output = up(&project, &["--image", "agnt"]);
    assert_eq!(output.code, Some(125), "{output:?}");
    assert!(output.err.contains("agnt"), "{output:?}");
}

#[test]
fn suggests_an_image_for_a_container_without_a_program() {
    let project = Project::empty();
    project.write("task.json", AGENT);
    let output = up(&project, &[]);
    assert_eq!(output.code, Some(127), "{output:?}");
    for option in [
        "--program agent=FILE",
        "--image agent",
        "--stub agent",
        "--skip agent",
    ] {
        assert!(output.err.contains(option), "{option}: {output:?}");
    }
}

#[test]
fn a_health_check_runs_a_program_that_only_the_image_has() {
    let Some(busybox) = images::busybox() else {
        return;
    };
    let project = Project::empty();
    project.write(
        "task.json",
        r#"{ "family": "boxed", "containerDefinitions": [{ "name": "agent", "image": "localhost/agent:1",
            "healthCheck": { "command": ["CMD", "/tool/busybox", "true"], "interval": 5 } }] }"#,
    );
    let config = ContainerConfig {
        cmd: [
            "/tool/busybox",
            "sh",
            "-c",
            "trap 'exit 0' TERM; while true; do /tool/busybox sleep 0.05; done",
        ]
        .map(str::to_owned)
        .into(),
        ..ContainerConfig::default()
    };
    let files = [("tool/busybox", busybox[0].1.clone())];
    images::write(&project.root().join("agent"), &files, &[], config);

    let arguments = [
        "--image",
        "agent=./agent",
        "--until-healthy",
        "--fast-health",
        "20",
    ];
    let output = up(&project, &arguments);
    if !is_skipped(&output) {
        assert_eq!(output.code, Some(0), "{output:?}");
    }
}

#[test]
fn files_of_the_project_are_visible_in_an_image_and_no_others() {
    let Some(busybox) = images::busybox() else {
        return;
    };
    let project = Project::empty();
    project.write(
        "task.json",
        r#"{ "family": "boxed", "containerDefinitions": [{ "name": "agent", "image": "localhost/agent:1",
            "user": "65532:65532", "readonlyRootFilesystem": true, "environment": [
              { "name": "KEYS", "value": ".assemble/dev/keys" },
              { "name": "SINK", "value": "file:.assemble/sink" },
              { "name": "OTHER", "value": ".assemble/../outside" } ] }] }"#,
    );
    project.write(".assemble/dev/keys", "given");
    project.write(".assemble/dev/secret", "hidden");
    project.write("outside", "hidden");
    let config = ContainerConfig {
        working_dir: "/work".to_owned(),
        ..images::shell(
            "/bin/busybox cat $KEYS && echo out > .assemble/sink && /bin/busybox ls .assemble/dev /",
        )
    };
    images::write(&project.root().join("agent"), &busybox, &[], config);

    let output = up(&project, &["--image", "agent=./agent", "--name", "one"]);
    if is_skipped(&output) {
        return;
    }
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.out.contains("given"), "{output:?}");
    assert!(
        !output.out.contains("secret") && !output.out.contains("outside"),
        "{output:?}"
    );
    // For root the container's user is another one, so it writes a copy, and the owner of the keys stays.
    let folder = if rustix::process::geteuid().is_root() {
        ".assemble/run/one/files/agent/"
    } else {
        ""
    };
    assert_eq!(project.read(&format!("{folder}.assemble/sink")), "out\n");

    let owner = fs::metadata(project.root().join(".assemble/dev/keys"))
        .unwrap()
        .uid();
    assert_eq!(owner, rustix::process::geteuid().as_raw());
}
