//! `assemble new`: templates pass `check` and render, crates compile, and no file is overwritten.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod support;

use support::{PROXY, Project};

#[test]
fn creates_and_renders_an_assembly_in_three_commands() {
    let project = Project::empty();
    // Without a component there is no app to use.
    let none = project.assemble(&["new", "assembly", "shop"]);
    assert_eq!(none.code, Some(2));
    assert!(none.err.contains("assemble new component"), "{}", none.err);

    let made = project.assemble(&["new", "component", "web", "--image", "nginx:1.29"]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(
        made.err.contains("assembly my-web --app web"),
        "{}",
        made.err
    );

    let shop = project.assemble(&["new", "assembly", "shop"]);
    assert_eq!(shop.code, Some(0), "{}", shop.err);
    assert!(
        shop.err
            .contains("next: assemble check assemblies/shop.yaml"),
        "{}",
        shop.err
    );

    let check = project.assemble(&["check", "--strict"]);
    assert_eq!(check.code, Some(0), "{}{}", check.out, check.err);
    let rendered = project.assemble(&["render", "shop"]);
    assert_eq!(rendered.code, Some(0), "{}", rendered.err);

    assert!(
        project
            .read("assemblies/rendered/shop/task-definition.json")
            .contains("nginx:1.29")
    );
}

#[test]
fn images_of_every_kind_work_in_one_task() {
    let project = Project::empty();
    for kind in ["app", "proxy", "sidecar", "init"] {
        let name = format!("my-{kind}");
        let made = project.assemble(&[
            "new",
            "component",
            &name,
            "--kind",
            kind,
            "--image",
            "busybox:1.37",
        ]);
        assert_eq!(made.code, Some(0), "{}", made.err);
    }

    let arguments = [
        "new",
        "assembly",
        "all",
        "--ingress",
        "my-proxy",
        "--sidecar",
        "my-sidecar",
    ];

    let made = project.assemble(&arguments);
    assert_eq!(made.code, Some(0), "{}", made.err);
    // `new assembly` has no flag for init components.
    let manifest = project.read("assemblies/all.yaml") + "init: [my-init]\n";
    project.write("assemblies/all.yaml", manifest);
    let check = project.assemble(&["check"]);
    assert_eq!(check.code, Some(0), "{}{}", check.out, check.err);
}

#[test]
fn lists_settings_that_the_user_must_fill_in() {
    let project = Project::new();
    let proxy = PROXY.replace(
        "settings:\n",
        "settings:\n  certificate: { type: string, required: true, secret: true }\n  mode: { type: string, required: true }\n",
    );

    project.write("sidecars/tls/component.yaml", proxy);
    let made = project.assemble(&[
        "new",
        "assembly",
        "secure",
        "--app",
        "web",
        "--ingress",
        "tls",
    ]);

    assert_eq!(made.code, Some(0), "{}", made.err);
    // `upstream` is required too, but derived by the wiring.
    for name in ["secrets.tls.certificate", "settings.tls.mode"] {
        assert!(
            made.err.contains(&format!("fill in `{name}`")),
            "{}",
            made.err
        );
    }

    let manifest = project.read("assemblies/secure.yaml");
    assert!(
        manifest.contains("ingress: [tls]") && manifest.contains("FILL-ME-IN"),
        "{manifest}"
    );
}

#[test]
fn examples_in_a_new_manifest_are_components_of_the_project() {
    let project = Project::new();
    project.write("sidecars/tls/component.yaml", PROXY);

    let made = project.assemble(&["new", "assembly", "plain", "--app", "web"]);

    assert_eq!(made.code, Some(0), "{}", made.err);
    let manifest = project.read("assemblies/plain.yaml");
    assert!(manifest.contains("# ingress: [tls] #"), "{manifest}");
}

#[test]
fn does_not_overwrite_files() {
    let project = Project::new();
    let before = project.read("assemblies/shop.yaml");
    let output = project.assemble(&["new", "assembly", "shop"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.err.contains("`assemblies/shop.yaml` already exists"),
        "{}",
        output.err
    );

    assert_eq!(project.read("assemblies/shop.yaml"), before);
    let output = project.assemble(&["new", "component", "web", "--image", "web:2"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.err.contains("component `web` already exists"),
        "{}",
        output.err
    );
    assert!(!project.root().join("assemblies/components").exists());
}

#[test]
fn rejects_an_invalid_name_with_a_valid_suggestion() {
    let project = Project::new();
    let output = project.assemble(&["new", "assembly", "My Shop"]);
    assert_eq!(output.code, Some(2));
    assert!(output.err.contains("use `my-shop`"), "{}", output.err);
    let output = project.assemble(&["new", "assembly", "shop2", "--app", "wbe"]);
    assert!(output.err.contains("did you mean `web`?"), "{}", output.err);
    // A crate needs the chassis, which this project does not have; an image does not.
    let output = project.assemble(&["new", "component", "filter"]);
    assert!(output.err.contains("--image"), "{}", output.err);
}

/// Creates a crate of each kind in a workspace with the real chassis and root manifest.
#[test]
fn new_crates_fit_the_workspace_and_compile() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // Always the same directory: cargo's cache depends on the path of the sources.
    let project = Project::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-crates"));
    let root = fs::read_to_string(repository.join("Cargo.toml")).expect("the root manifest");
    let (head, rest) = root.split_once("members = [").expect("members");
    let (_, rest) = rest.split_once("]\n").expect("the end of the members");
    // The same dependencies and lints, but only the crates created here as members.

    project.write(
        "Cargo.toml",
        format!("{head}members = [\"sidecars/*\", \"apps/*\"]\n{rest}"),
    );
    project.write(
        "assemblies/values/example.yaml",
        support::VALUES.to_owned() + "version: '1'\n",
    );
    fs::copy(
        repository.join("Cargo.lock"),
        project.root().join("Cargo.lock"),
    )
    .expect("a copy");

    copy(
        &repository.join("sidecars/chassis"),
        &project.root().join("sidecars/chassis"),
    );

    let kinds = ["app", "proxy", "sidecar", "init"];
    for kind in kinds {
        let made = project.assemble(&["new", "component", &format!("my-{kind}"), "--kind", kind]);
        assert_eq!(made.code, Some(0), "{}", made.err);
    }

    let task = [
        "new",
        "assembly",
        "all",
        "--app",
        "my-app",
        "--ingress",
        "my-proxy",
        "--sidecar",
        "my-sidecar",
    ];

    assert_eq!(project.assemble(&task).code, Some(0));
    let check = project.assemble(&["check", "--strict"]);
    assert_eq!(check.code, Some(0), "{}{}", check.out, check.err);

    let cargo = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--offline")
            .current_dir(project.root())
            .env("CARGO_TARGET_DIR", target())
            .output()
            .expect("cargo runs");

        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };

    cargo(&[
        "build",
        "--quiet",
        "-p",
        "my-app",
        "-p",
        "my-proxy",
        "-p",
        "my-sidecar",
        "-p",
        "my-init",
    ]);

    for kind in kinds {
        let name = format!("my-{kind}");
        let program = target().join("debug").join(&name);
        let output = Command::new(program)
            .arg("describe")
            .output()
            .expect("it runs");
        let description: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let parent = if kind == "app" { "apps" } else { "sidecars" };
        let declared = project.read(&format!("{parent}/{name}/component.yaml"));

        // `component.yaml` must list exactly the settings of the program.
        let settings = description["settings"].as_array().expect("settings");
        for setting in settings {
            let line = format!("\n  {}: {{", setting["name"].as_str().expect("a name"));
            assert!(declared.contains(&line), "{name}: {setting}");
        }

        let lines = declared.lines().filter(|line| line.contains("doc: "));
        assert_eq!(lines.count(), settings.len(), "{name}");
    }
}

/// Returns the target directory of this test: the dependencies are already compiled there.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a path");
    program
        .ancestors()
        .nth(3)
        .expect("target/debug/deps")
        .to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let into = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &into);
        } else {
            fs::copy(&path, &into).expect("a copy");
        }
    }
}
