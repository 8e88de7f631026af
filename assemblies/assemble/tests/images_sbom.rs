//! The SBOM of an image: written by `images build`, attached by `images push`, printed by `images sbom`, kept by `prune`.

#![cfg(feature = "lock")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use registry::Digest;
use registry::layout::{Artifact, Layout, media_type, write_referrers};
use serde_json::{Value, json};

mod support;
use support::{CommandOutput, Project};

#[path = "support/registries.rs"]
mod registries;
use registries::{Debian, assemble, project, write_layout, write_platforms};

const MANIFEST: &str = r#"[workspace]
members = ["helper", "builder"]
[package]
name = "web"
version = "1.2.3"
edition = "2024"
license = "MIT/Apache-2.0"
repository = "https://example.com/web"
[dependencies]
helper = { path = "helper" }
[build-dependencies]
builder = { path = "builder" }
"#;

const LOCK: &str = "version = 4\n\n[[package]]\nname = \"builder\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"helper\"\n\
                    version = \"0.2.0\"\n\n[[package]]\nname = \"web\"\nversion = \"1.2.3\"\ndependencies = [\n \"builder\",\n \
                    \"helper\",\n]\n";

/// A cargo workspace whose program is linked with one library, and has another one in its build script.
fn workspace() -> Project {
    let project = Project::empty();
    project.write("Cargo.toml", MANIFEST);
    project.write("Cargo.lock", LOCK);
    project.write("src/main.rs", "fn main() { helper::greet(); }\n");
    project.write("build.rs", "fn main() { builder::nothing(); }\n");
    let library = |name: &str, version: &str, code: &str| {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2024\"\nlicense = \"ISC\"\n"
        );
        project.write(&format!("{name}/Cargo.toml"), manifest);
        project.write(&format!("{name}/src/lib.rs"), code);
    };
    library("helper", "0.2.0", "pub fn greet() { println!(\"hi\"); }\n");
    library("builder", "0.1.0", "pub fn nothing() {}\n");
    project.write("assemblies/values/example.yaml", support::VALUES);
    let local = "local: { binary: web, build: cargo build }\n";
    project.write("apps/web/component.yaml", support::WEB.to_owned() + local);
    project
}

fn sbom(project: &Project, source: &str) -> Value {
    let printed = assemble(project, &["images", "sbom", source], &[]);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    serde_json::from_str(&printed.out).unwrap()
}

/// Checks the rules of CycloneDX that its JSON schema cannot express, and the form of the serial number.
fn check(document: &Value) {
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert_eq!(document["specVersion"], "1.6");
    let serial = document["serialNumber"].as_str().unwrap();
    let groups: Vec<usize> = (serial.strip_prefix("urn:uuid:").unwrap().split('-'))
        .map(str::len)
        .collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{serial}");

    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut references = BTreeSet::new();
    let program = document["metadata"]["component"].clone();
    for component in array(&document["components"]).iter().chain([&program]) {
        let reference = component["bom-ref"].as_str().unwrap().to_owned();
        assert!(references.insert(reference), "twice: {component}");
    }

    let mut nodes = BTreeSet::new();
    for entry in array(&document["dependencies"]) {
        let reference = entry["ref"].as_str().unwrap().to_owned();
        assert!(references.contains(&reference), "unknown: {entry}");
        assert!(nodes.insert(reference), "twice: {entry}");
        for used in array(&entry["dependsOn"]) {
            assert!(references.contains(used.as_str().unwrap()), "{entry}");
        }
    }
    for composition in array(&document["compositions"]) {
        for list in ["assemblies", "dependencies"] {
            for reference in array(&composition[list]) {
                assert!(
                    references.contains(reference.as_str().unwrap()),
                    "{composition}"
                );
            }
        }
    }
}

fn depends_on(document: &Value, reference: &str) -> Vec<String> {
    let entries = document["dependencies"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["ref"] == reference);
    let used = entry.unwrap()["dependsOn"].as_array();
    let used = used.into_iter().flatten();
    used.map(|used| used.as_str().unwrap().to_owned()).collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_built_image_has_an_sbom_of_what_is_linked() {
    let project = workspace();
    let built = assemble(&project, &["images", "build", "web"], &[]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    let document = sbom(&project, "oci:.assemble/images/web");
    check(&document);

    let program = &document["metadata"]["component"];
    let own = "pkg:generic/web@1.2.3?vcs_url=git%2Bhttps://example.com/web";
    assert_eq!(program["purl"], own);
    assert_eq!(
        program["licenses"],
        json!([{ "expression": "MIT OR Apache-2.0" }])
    );
    let binary = project
        .root()
        .join("target/x86_64-unknown-linux-gnu/release/web");
    let (digest, _) = Digest::from_file(&binary).unwrap();
    assert_eq!(program["hashes"][0]["content"], digest.hex());

    // Not the library of the build script, which is not in the program.
    let names = document["components"].as_array().unwrap();
    let names: Vec<&str> = names
        .iter()
        .filter_map(|part| part["name"].as_str())
        .collect();
    assert_eq!(names, ["helper", "rust-std", "glibc", "libgcc"]);
    let used = depends_on(&document, own);
    assert_eq!(used[0], "pkg:generic/helper@0.2.0");
    assert!(used[1].starts_with("pkg:generic/rust-std@"), "{used:?}");
    assert_eq!(used.len(), 2);

    // The same again, and written again where it is missing, without a new image.
    let before = fs::read(
        project
            .root()
            .join(".assemble/images/web/referrers/index.json"),
    )
    .unwrap();
    fs::remove_dir_all(project.root().join(".assemble/images/web/referrers")).unwrap();
    let missing = assemble(
        &project,
        &["images", "sbom", "oci:.assemble/images/web"],
        &[],
    );
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.err.contains("build the image again"),
        "{}",
        missing.err
    );
    let again = assemble(&project, &["images", "build", "web"], &[]);
    assert!(again.err.contains("up to date"), "{}", again.err);
    let after = fs::read(
        project
            .root()
            .join(".assemble/images/web/referrers/index.json"),
    )
    .unwrap();
    assert_eq!(before, after);

    let table = [
        "images",
        "sbom",
        "./.assemble/images/web",
        "--format",
        "text",
    ];
    let table = assemble(&project, &table, &[]);
    assert!(
        table.out.contains("helper    0.2.0    ISC\n"),
        "{}",
        table.out
    );
    other_tools_see_one_image(&project);
}

/// skopeo and umoci refuse a layout with several images when none is chosen.
fn other_tools_see_one_image(project: &Project) {
    let index = fs::read(project.root().join(".assemble/images/web/index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--config", "oci:.assemble/images/web"]);
    if let Ok(output) = skopeo.current_dir(project.root()).output() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
    }
}

#[test]
fn the_sbom_of_a_program_from_elsewhere_says_that_its_parts_are_unknown() {
    let project = Project::new();
    project.write("hello.c", "int main(void) { return 0; }\n");
    let mut compiler = Command::new("cc");
    compiler.args(["-static", "-o", "hello", "hello.c"]);
    let compiled = compiler.current_dir(project.root()).status().unwrap();
    assert!(compiled.success());

    let arguments = ["images", "build", "--binary", "hello", "--name", "hello"];
    let built = assemble(&project, &arguments, &[("SOURCE_DATE_EPOCH", "86400")]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    let document = sbom(&project, "oci:.assemble/images/hello");
    check(&document);
    let (digest, _) = Digest::from_file(&project.root().join("hello")).unwrap();
    let program = &document["metadata"]["component"];
    assert_eq!(program["hashes"][0]["content"], digest.hex());
    assert_eq!(document["compositions"][0]["aggregate"], "unknown");
    assert_eq!(document["components"], json!([]));
    assert_eq!(document["metadata"]["timestamp"], "1970-01-02T00:00:00Z");
}

/// Attaches a document to each manifest of a layout.
fn attach(folder: &Path, name: &str) {
    let layout = Layout::open(folder).unwrap();
    let content = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{ "name": name, "type": "library" }],
    });
    let artifact = |subject| Artifact {
        artifact_type: media_type::CYCLONEDX.to_owned(),
        subject,
        content: content.to_string().into_bytes(),
        annotations: BTreeMap::new(),
    };
    let artifacts: Vec<Artifact> = layout
        .manifests()
        .unwrap()
        .into_iter()
        .map(artifact)
        .collect();
    write_referrers(folder, &artifacts).unwrap();
}

fn has(debian: &Debian, name: &str) -> bool {
    let status = Command::new("curl")
        .args(["--silent", "--fail", "--noproxy", "*", "--head", "-o", "/dev/null", "-H"])
        .arg("Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
        .arg(format!("http://{}/v2/web/manifests/{name}", debian.address))
        .status();
    status.unwrap().success()
}

#[test]
fn docker_registry_lists_the_sbom_by_a_tag() {
    let Some(debian) = Debian::start("attaching an SBOM") else {
        return;
    };
    let project = project(&debian.address);
    let folder = project.root().join(".assemble/images/web");
    let image = format!("{}/web:1", debian.address);
    let none = assemble(&project, &["images", "push"], &[]);
    assert_eq!(none.code, Some(0), "{}", none.err);
    assert!(none.err.contains("no SBOM"), "{}", none.err);
    let missing = assemble(&project, &["images", "sbom", &image], &[]);
    assert_eq!(missing.code, Some(2), "{}", missing.err);
    assert!(
        missing.err.contains("no CycloneDX SBOM attached"),
        "{}",
        missing.err
    );

    // To an image that is pushed already.
    attach(&folder, "first");
    let without = assemble(&project, &["images", "push", "--no-sbom"], &[]);
    assert!(!without.err.contains("SBOM"), "{}", without.err);
    let pushed = assemble(&project, &["images", "push"], &[]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    assert!(pushed.err.contains("no referrers API"), "{}", pushed.err);
    let subject = Layout::open(&folder).unwrap().manifests().unwrap()[0]
        .digest
        .clone();
    assert!(has(&debian, &subject.replace(':', "-")));
    assert_eq!(sbom(&project, &image)["components"][0]["name"], "first");
    let again = assemble(&project, &["images", "push"], &[]);
    assert!(!again.err.contains("SBOM"), "{}", again.err);

    // An earlier one stays attached.
    attach(&folder, "second");
    assert_eq!(assemble(&project, &["images", "push"], &[]).code, Some(0));
    let both = assemble(&project, &["images", "sbom", &image], &[]);
    assert!(both.err.contains("2 SBOMs are attached"), "{}", both.err);
}

#[test]
fn pruning_keeps_the_sbom_of_a_kept_image_only() {
    let Some(debian) = Debian::start("pruning SBOMs") else {
        return;
    };
    let project = project(&debian.address);
    let folder = project.root().join(".assemble/images/web");
    let push = |tag: &str| {
        attach(&folder, tag);
        let layout = Layout::open(&folder).unwrap();
        let referrers = layout.referrers().unwrap().unwrap();
        let entries = referrers.index().manifests.iter();
        let mut names: Vec<String> = entries.map(|entry| entry.digest.clone()).collect();
        let tags = layout.manifests().unwrap().into_iter();
        names.extend(tags.map(|manifest| manifest.digest.replace(':', "-")));
        let pushed = assemble(&project, &["images", "push", "--tag", tag], &[]);
        assert_eq!(pushed.code, Some(0), "{}", pushed.err);
        names
    };
    let kept_digest = write_platforms(&folder, "kept", &["amd64", "arm64"]);
    let kept = push("kept");
    write_layout(&folder, "other");
    let other = push("other");
    let lock = format!("lock: 1\nimages:\n  elsewhere/web:1: {{ digest: '{kept_digest}' }}\n");
    project.write("assemblies/locks/production.yaml", lock);

    let prune = ["images", "prune", "web", "--yes", "--no-ecs"];
    let pruned: CommandOutput = assemble(&project, &prune, &[]);
    assert_eq!(pruned.code, Some(0), "{}", pruned.err);
    // The image, the list of what describes it, and the SBOM.
    assert_eq!(pruned.out.lines().count(), 3, "{}", pruned.out);
    assert_eq!((kept.len(), other.len()), (4, 2));
    assert!(kept.iter().all(|name| has(&debian, name)), "{kept:?}");
    assert!(!other.iter().any(|name| has(&debian, name)), "{other:?}");
    let image = format!("{}/web:kept", debian.address);
    assert_eq!(sbom(&project, &image)["components"][0]["name"], "kept");
}
