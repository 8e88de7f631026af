//! `assemble images push` against Debian's `docker-registry`, and Amazon ECR behind a proxy.

#![cfg(feature = "lock")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

mod support;
use support::CommandOutput;

#[path = "support/registries.rs"]
mod registries;
use registries::{Debian, assemble, project, write_layout, write_platforms};

const LOCK: &str = "assemblies/locks/example.yaml";

#[test]
fn pushes_locks_and_renders_the_same_digest() {
    let Some(debian) = Debian::start("images push") else {
        return;
    };
    let project = project(&debian.address);
    let digest = write_platforms(
        &project.root().join(".assemble/images/web"),
        "both",
        &["amd64", "arm64"],
    );

    let pushed = assemble(&project, &["images", "push"], &[]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    assert_eq!(pushed.out, format!("{}/web:1@{digest}\n", debian.address));
    let check = assemble(&project, &["lock", "--all", "--check"], &[]);
    assert_eq!(check.code, Some(0), "{}{}", check.out, check.err);
    assert!(check.err.contains("already up to date"), "{}", check.err);

    let rendered = assemble(&project, &["render", "shop", "--locked"], &[]);
    assert_eq!(rendered.code, Some(0), "{}", rendered.err);
    let definition = project.read("assemblies/rendered/shop/task-definition.json");
    assert!(definition.contains(&format!("{}/web@{digest}", debian.address)));

    // Nothing to do: one request, and no change to the lock file.
    let before = project.read(LOCK);
    let again = assemble(&project, &["images", "push", "--format", "json"], &[]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(again.json()[0]["unchanged"], true);
    assert_eq!(again.json()[0]["digest"], digest.as_str());
    assert_eq!(project.read(LOCK), before);
    assert!(!again.err.contains("wrote"), "{}", again.err);
}

#[test]
fn other_tools_read_what_was_pushed() {
    let Some(debian) = Debian::start("skopeo reads a push") else {
        return;
    };
    if Command::new("skopeo").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: skopeo reads a push needs skopeo"
        );
        return;
    }
    let project = project(&debian.address);
    assert_eq!(assemble(&project, &["images", "push"], &[]).code, Some(0));

    let image = format!("docker://{}/web:1", debian.address);
    let skopeo = |arguments: &[&str]| {
        let output = Command::new("skopeo").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stdout).unwrap()
    };
    let inspected = skopeo(&["inspect", "--tls-verify=false", &image]);
    let document: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(document["Architecture"], "amd64");

    // The copy has every blob, with the digests verified by skopeo.
    let target = format!("oci:{}:1", project.root().join("copy").display());
    skopeo(&["copy", "--src-tls-verify=false", &image, &target]);
}

#[test]
fn moves_a_tag_only_when_asked() {
    let Some(debian) = Debian::start("moving a tag") else {
        return;
    };
    let project = project(&debian.address);
    assert_eq!(assemble(&project, &["images", "push"], &[]).code, Some(0));
    let locked = project.read(LOCK);

    let digest = write_layout(&project.root().join(".assemble/images/web"), "second");
    let refused = assemble(&project, &["images", "push"], &[]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(refused.err.contains("--move-tag"), "{}", refused.err);
    assert_eq!((refused.out.as_str(), project.read(LOCK)), ("", locked));

    let moved = assemble(&project, &["images", "push", "web", "--move-tag"], &[]);
    assert_eq!(moved.code, Some(0), "{}", moved.err);
    assert!(project.read(LOCK).contains(&digest));
}

#[test]
fn reports_a_lock_file_that_cannot_be_written_after_the_push() {
    let Some(debian) = Debian::start("a read-only lock file") else {
        return;
    };
    let project = project(&debian.address);
    let old = format!(
        "lock: 1\nimages:\n  other:1: {{ digest: 'sha256:{}' }}\n",
        "1".repeat(64)
    );
    let file = project.write(LOCK, &old);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();

    let failed = assemble(&project, &["images", "push"], &[]);
    assert_eq!(failed.code, Some(2), "{}", failed.err);
    for part in ["1 image pushed, but not locked", "read-only", "push again"] {
        assert!(failed.err.contains(part), "{}", failed.err);
    }
    // The digest is known all the same.
    assert!(failed.out.contains("/web:1@sha256:"), "{}", failed.out);
    assert_eq!(project.read(LOCK), old);

    // A limit on the size of files simulates a full disk: writing fails in the middle.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f 0; exec '{}' images push",
        env!("CARGO_BIN_EXE_assemble")
    );
    let full = Command::new("sh")
        .args(["-c", &script])
        .current_dir(project.root())
        .env("DOCKER_CONFIG", project.root())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&full.stderr).into_owned();
    assert!(message.contains("pushed, but not locked"), "{message}");
    assert_eq!(project.read(LOCK), old);
    // No temporary file is left.
    let entries = fs::read_dir(file.parent().unwrap()).unwrap();
    assert_eq!(entries.count(), 1);

    let repeated = assemble(&project, &["images", "push"], &[]);
    assert_eq!(repeated.code, Some(0), "{}", repeated.err);
    assert!(repeated.err.contains("is up to date"), "{}", repeated.err);
    assert!(project.read(LOCK).contains("other:1"));
}

#[test]
fn chooses_the_images_of_an_assembly_and_another_registry_and_tag() {
    let Some(debian) = Debian::start("choosing images") else {
        return;
    };
    let project = project("registry.example");
    // Built, but not part of the assembly.
    write_layout(&project.root().join(".assemble/images/extra"), "extra");
    let prefix = format!("{}/team/a", debian.address);
    let arguments = ["images", "push", "--assembly", "shop", "--tag", "2"];
    let pushed = assemble(
        &project,
        &[&arguments[..], &["--registry", &prefix]].concat(),
        &[],
    );
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    assert!(
        pushed.out.starts_with(&format!("{prefix}/web:2@sha256:")),
        "{}",
        pushed.out
    );
    assert_eq!(pushed.out.lines().count(), 1);
    // The documents have the tag 1, so locking this one would leave the lock file out of date.
    assert!(pushed.err.contains("not locked"), "{}", pushed.err);
    assert!(!project.root().join(LOCK).exists());

    // An image that is no component has the reference `${registry}/NAME:${version}`.
    let extra = ["images", "push", "extra", "--registry", &prefix];
    let missing = assemble(&project, &extra, &[]);
    assert_eq!(missing.code, Some(2), "{}", missing.err);
    assert!(
        missing.err.contains("`version` is missing"),
        "{}",
        missing.err
    );
    let with_version = [&extra[..], &["--value", "version=3"]].concat();
    let pushed = assemble(&project, &with_version, &[]);
    assert!(
        pushed.out.starts_with(&format!("{prefix}/extra:3@")),
        "{}",
        pushed.err
    );
}

#[test]
fn reports_bad_input_before_anything_is_pushed() {
    let project = project("127.0.0.1:1");
    for (arguments, expected) in [
        (
            vec!["images", "push", "../web"],
            "is not the name of an image",
        ),
        (vec!["images", "push", "cart"], "`version` is missing"),
        (
            vec!["images", "push", "cart", "--value", "version=1"],
            "run `assemble images build cart`",
        ),
        (
            vec!["images", "push", "--layouts", "nowhere"],
            "no images in `nowhere`",
        ),
        (
            vec!["images", "push", "--registry", "https://a.example"],
            "leave out the scheme",
        ),
        (
            vec!["images", "push", "--tag", "a b"],
            "not an image reference",
        ),
        (
            vec!["images", "push", "--create-repositories"],
            "--create-repositories is for Amazon ECR",
        ),
    ] {
        let output = assemble(&project, &arguments, &[]);
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.err);
        assert!(
            output.err.contains(expected),
            "{arguments:?}: {}",
            output.err
        );
    }

    let proxy = assemble(
        &project,
        &["images", "push"],
        &[("HTTPS_PROXY", "socks5://u:secret@p")],
    );
    assert_eq!(proxy.code, Some(2), "{}", proxy.err);
    assert!(proxy.err.contains("HTTPS_PROXY") && !proxy.err.contains("secret"));

    project.write("config.json", "{ \"auths\": ");
    for arguments in [
        &["images", "push"][..],
        &["images", "prune", "--no-ecs", "--dry-run"],
        &["images", "inspect", "127.0.0.1:1/web:1"],
        &["images", "sbom", "127.0.0.1:1/web:1"],
        &["lock", "--all"],
    ] {
        let broken = assemble(&project, arguments, &[]);
        assert_eq!(broken.code, Some(2), "{arguments:?}: {}", broken.err);
        assert!(broken.err.contains("config.json"), "{}", broken.err);
    }
    fs::remove_file(project.root().join("config.json")).unwrap();

    let unreachable = project_with_closed_registry();
    assert_eq!(unreachable.code, Some(3), "{}", unreachable.err);
    assert!(
        unreachable.err.contains("cannot connect"),
        "{}",
        unreachable.err
    );
}

#[test]
fn a_fault_of_this_machine_exits_2_and_one_of_the_registry_3() {
    let Some(debian) = Debian::start("exit codes of a push") else {
        return;
    };
    let project = project(&debian.address);
    let blobs = project.root().join(".assemble/images/web/blobs/sha256");
    let sizes = fs::read_dir(&blobs).unwrap().flatten();
    let layer = sizes
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap();
    let intact = fs::read(layer.path()).unwrap();
    let mut altered = intact.clone();
    altered[20] ^= 1;
    fs::write(layer.path(), altered).unwrap();
    let damaged = assemble(&project, &["images", "push"], &[]);
    assert_eq!(damaged.code, Some(2), "{}", damaged.err);
    assert!(
        damaged.err.contains("build or save the image again"),
        "{}",
        damaged.err
    );

    fs::remove_file(layer.path()).unwrap();
    let missing = assemble(&project, &["images", "push"], &[]);
    assert_eq!(missing.code, Some(2), "{}", missing.err);
    assert!(missing.err.contains("has no blob"), "{}", missing.err);

    // Of two failures, the one of the registry decides.
    let other = project.root().join(".assemble/images/other");
    write_layout(&other, "first");
    let push = ["images", "push", "--value", "version=1"];
    assert_eq!(
        assemble(&project, &[&push[..], &["other"]].concat(), &[]).code,
        Some(0)
    );
    write_layout(&other, "second");
    let both = assemble(&project, &push, &[]);
    assert_eq!(both.code, Some(3), "{}", both.err);
    assert!(both.err.contains("cannot push 2 images"), "{}", both.err);

    // A broken credential helper is a fault of this machine for every verb.
    fs::write(layer.path(), intact).unwrap();
    project.write("config.json", r#"{"credsStore":"../x"}"#);
    let password = Debian::start_with("a login", AUTH).unwrap();
    let image = format!("{}/web:1", password.address);
    let registry = ["--registry", &password.address];
    let value = format!("registry={}", password.address);
    for arguments in [
        [&["images", "push", "web"], &registry[..]].concat(),
        [
            &["images", "prune", "web", "--no-ecs", "--dry-run"],
            &registry[..],
        ]
        .concat(),
        vec!["images", "inspect", &image],
        vec!["images", "sbom", &image],
        vec!["lock", "--all", "--value", &value],
    ] {
        let output = assemble(&project, &arguments, &[]);
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.err);
        assert!(output.err.contains("docker-credential-"), "{}", output.err);
    }
}

/// A registry that asks for a login; nobody has one.
const AUTH: &str = "auth:\n  htpasswd: { realm: r, path: /nonexistent/users }\n";

fn project_with_closed_registry() -> CommandOutput {
    // A port that was free a moment ago, so the connection is refused.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let project = project(&closed.local_addr().unwrap().to_string());
    drop(closed);
    assemble(&project, &["images", "push"], &[])
}
