//! The image of a bundle: built from its workspace, chosen by what a definition names, pushed and run.

#![cfg(all(feature = "lock", target_arch = "x86_64"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use registry::layout::{ContainerConfig, Layout, UnpackLimits, Unpacker};
use serde_json::json;
use support::{CommandOutput, Project};

#[path = "support/registries.rs"]
mod registries;
use registries::Debian;

const MANIFEST: &str = r#"[workspace]
[package]
name = "shop"
version = "1.2.3"
edition = "2024"
license = "MIT"
[profile.dist]
inherits = "release"
strip = true
"#;

const LOCK: &str = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"1.2.3\"\n";

/// Prints how it was called.
const MAIN: &str = r#"fn main() {
    let words: Vec<String> = std::env::args().collect();
    println!("called {}", words.join(" "));
}
"#;

const BUNDLE: &str = "schema: 1\nname: tools\nkind: bundle\nsummary: Both sidecars\n\
    image: ${registry}/${stage}/tools:7\nimage_budget: 2 MB\nmembers: [first, second]\n";

const SHOP: &str =
    "name: shop\nsummary: A shop\napp: web\nsidecars: [first, second]\nservice: {}\n";

/// A project with an app, two sidecars and their bundle, all of one cargo package without dependencies.
fn project() -> Project {
    let project = Project::empty();
    project.write("Cargo.toml", MANIFEST);
    project.write("Cargo.lock", LOCK);
    project.write("src/bin/web.rs", MAIN);
    project.write("src/bin/tools.rs", MAIN);
    let values = format!("{}stage: test\n", support::VALUES);
    project.write("assemblies/values/example.yaml", values);
    project.write("assemblies/shop.yaml", SHOP);
    project.write(
        "apps/web/component.yaml",
        support::WEB.to_owned() + "local: { binary: web }\n",
    );

    for (name, port, folders) in [("first", 4001, "[/tmp, /data]"), ("second", 4002, "[/tmp]")] {
        let component = format!(
            "schema: 1\nname: {name}\nkind: sidecar\nsummary: A sidecar\nimage: ${{registry}}/{name}:1\n\
             settings: {{ listen: {{ type: string, doc: address }} }}\n\
             provides: {{ {name}: {{ setting: listen, port: {port} }} }}\nfiles: {folders}\n\
             size: {{ cpu: 32, memory: 64 }}\nlocal: {{ binary: web }}\n"
        );
        project.write(&format!("sidecars/{name}/component.yaml"), component);
    }
    project.write("sidecars/bundle/bundle.yaml", BUNDLE);
    project
}

fn build(project: &Project, more: &[&str]) -> CommandOutput {
    project.assemble(&[&["images", "build"], more].concat())
}

/// Returns the names in the first column of the table.
fn table_names(output: &CommandOutput) -> Vec<&str> {
    assert_eq!(output.code, Some(0), "{}", output.err);
    let rows = output.out.lines().skip(1);
    rows.filter_map(|row| row.split_whitespace().next())
        .collect()
}

fn config(project: &Project, name: &str) -> ContainerConfig {
    let layout = Layout::open(&project.root().join(".assemble/images").join(name)).unwrap();
    layout.image("linux/amd64").unwrap().1.config
}

fn unpack(project: &Project, name: &str, root: &Path) {
    let layout = Layout::open(&project.root().join(".assemble/images").join(name)).unwrap();
    let (manifest, _) = layout.image("linux/amd64").unwrap();
    fs::create_dir(root).unwrap();
    let owners = |_, _| None;
    let mut unpacker = Unpacker::new(root, &owners, UnpackLimits::default()).unwrap();
    let layer = layout.blob(&manifest.layers[0]).unwrap();
    unpacker.layer(layer.as_slice()).unwrap();
    unpacker.finish().unwrap();
}

#[test]
fn the_image_has_the_facts_of_all_members() {
    let project = project();
    let output = build(&project, &["tools"]);
    assert_eq!(table_names(&output), ["tools"]);
    assert!(output.out.contains("2.00 MB"), "{}", output.out);

    let config = config(&project, "tools");
    assert_eq!(config.entrypoint, ["/tools"]);
    assert!(config.cmd.is_empty(), "{:?}", config.cmd);
    let ports: Vec<&String> = config.exposed_ports.keys().collect();
    assert_eq!(ports, ["4001/tcp", "4002/tcp"]);
    let volumes: Vec<&String> = config.volumes.keys().collect();
    assert_eq!(volumes, ["/data", "/run/assemble", "/tmp"]);
    let description = &config.labels["org.opencontainers.image.description"];
    assert_eq!(description, "Both sidecars");

    // The name of a member runs the program.
    let root = project.root().join("root");
    unpack(&project, "tools", &root);
    for member in ["first", "second"] {
        let link = root.join(member);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("tools"));
        let output = Command::new(&link).arg("serve").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.ends_with(&format!("/{member} serve\n")), "{text}");
    }

    let again = build(&project, &["tools"]);
    assert!(again.err.contains("tools is up to date"), "{}", again.err);
}

#[test]
fn without_names_the_bundle_is_built_too() {
    let project = project();
    let output = build(&project, &[]);
    assert_eq!(table_names(&output), ["first", "second", "web", "tools"]);
}

#[test]
fn an_assembly_builds_what_its_definition_names() {
    let project = project();
    let names = |manifest: String| {
        project.write("assemblies/shop.yaml", manifest);
        let output = build(&project, &["--assembly", "shop"]);
        table_names(&output).join(" ")
            + if output.err.contains("skipped") {
                " -"
            } else {
                ""
            }
    };

    assert_eq!(names(SHOP.to_owned()), "tools web");
    assert_eq!(names(format!("{SHOP}images: single\n")), "first second web");
    assert_eq!(names(SHOP.replace(", second", "")), "first web");
    // A tag of its own is still the component's image.
    let tagged = format!(
        "{SHOP}images: single\noverrides: {{ second: {{ image: \"x.example/second:9\" }} }}\n"
    );
    assert_eq!(names(tagged), "first second web");
    let replaced =
        format!("{SHOP}overrides: {{ second: {{ image: \"other.example/agent:3\" }} }}\n");
    assert_eq!(names(replaced), "first web -");
}

#[test]
fn a_program_that_was_built_elsewhere_gets_the_links() {
    let project = project();
    assert_eq!(table_names(&build(&project, &["tools"])), ["tools"]);
    let first = project.root().join("first-root");
    unpack(&project, "tools", &first);

    fs::copy(first.join("tools"), project.root().join("program")).unwrap();
    let output = build(&project, &["--binary", "program", "--name", "tools"]);
    assert_eq!(table_names(&output), ["tools"]);
    let root = project.root().join("root");
    unpack(&project, "tools", &root);
    assert_eq!(
        fs::read_link(root.join("second")).unwrap(),
        Path::new("tools")
    );
    assert!(
        config(&project, "tools")
            .exposed_ports
            .contains_key("4002/tcp")
    );
}

#[test]
fn mistakes_in_the_bundle_are_explained() {
    let project = project();
    for (from, to, arguments, message) in [
        ("", "", &["tolls"][..], "did you mean `tools`?"),
        (
            "name: tools",
            "name: kit",
            &["kit"],
            "correct `name` in its bundle.yaml",
        ),
        ("2 MB", "2 MX", &["tools"], "`image_budget` must be a size"),
        ("2 MB", "2 MX", &[], "`image_budget` must be a size"),
        ("second]", "sekond]", &["tools"], "sekond"),
        ("name: tools", "name: web", &[], "the name of a component"),
    ] {
        project.write("sidecars/bundle/bundle.yaml", BUNDLE.replace(from, to));
        let output = build(&project, arguments);
        let text = format!("{}{}", output.out, output.err);
        assert!(matches!(output.code, Some(1 | 2)), "{to}: {output:?}");
        assert!(text.contains(message), "{to}: {text}");
        assert!(!text.contains("COMPRESSED"), "{to}: {text}");
    }
}

#[test]
fn a_bundle_over_its_budget_is_written_and_exits_1() {
    let project = project();
    let small = BUNDLE.replace("2 MB", "10 kB");
    project.write("sidecars/bundle/bundle.yaml", small);
    let output = build(&project, &["tools"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    let message = "over its `image_budget` of 10.0 kB";
    assert!(output.err.contains(message), "{}", output.err);
    assert_eq!(config(&project, "tools").entrypoint, ["/tools"]);
}

#[test]
fn push_takes_the_reference_of_the_bundle() {
    let Some(debian) = Debian::start("images push of a bundle") else {
        return;
    };
    let project = project();
    assert_eq!(
        table_names(&build(&project, &["--assembly", "shop"])),
        ["tools", "web"]
    );

    let registry = ["--registry", &debian.address];
    let push = [&["images", "push", "tools"], &registry[..]].concat();
    let pushed = registries::assemble(&project, &push, &[]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    let reference = format!("{}/test/tools:7@sha256:", debian.address);
    assert!(pushed.out.starts_with(&reference), "{}", pushed.out);

    // The assembly names the bundle once, and no image of a member.
    let push = [&["images", "push", "--assembly", "shop"], &registry[..]].concat();
    let pushed = registries::assemble(&project, &push, &[]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    let lines: Vec<&str> = pushed.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", pushed.out);
    assert!(lines[0].starts_with(&reference), "{}", pushed.out);
}

#[test]
#[cfg(feature = "up")]
fn containers_of_the_bundle_run_from_the_built_image() {
    let project = project();
    assert_eq!(
        table_names(&build(&project, &["--assembly", "shop"])),
        ["tools", "web"]
    );
    let container = |name: &str, entry_point: &[&str], command: &[&str]| {
        json!({ "name": name, "image": "registry.example/tools:7", "memory": 64, "essential": false,
            "entryPoint": entry_point, "command": command })
    };
    let after = |name: &str| json!({ "containerName": name, "condition": "SUCCESS" });
    let web = json!({ "name": "web", "image": "registry.example/web:1", "memory": 64,
        "dependsOn": [after("a"), after("b")] });
    let containers = [
        container("a", &["/tools", "first"], &["serve"]),
        container("b", &["/second"], &["serve", "--all"]),
        web,
    ];
    let definition = json!({ "family": "shop", "containerDefinitions": containers });
    project.write("task.json", definition.to_string());

    let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
    command.args(["up", "task.json", "--images"]);
    command.current_dir(project.root()).env("NO_COLOR", "1");
    let cache = project.root().join("cache");
    let output = command.env("XDG_CACHE_HOME", cache).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    if err.contains("needs mount namespaces") {
        eprintln!("skipped: this host does not allow namespaces");
        return;
    }

    // The words of the image, not those of a local program.
    for line in [
        "called /tools first serve\n",
        "called /second serve --all\n",
        "called /web serve\n",
    ] {
        assert!(out.contains(line), "{line} is missing:\n{out}{err}");
    }
}
