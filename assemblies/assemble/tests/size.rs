//! `assemble size`, and price tables.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn project() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (path, text) in [
        ("apps/web/component.yaml", WEB),
        ("assemblies/values/example.yaml", VALUES),
        ("assemblies/shop.yaml", SHOP),
    ] {
        write(folder.path(), path, text);
    }
    folder
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(&path, text).expect("a file");
}

fn assemble(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(folder.path())
        .env("NO_COLOR", "1")
        .output()
        .expect("the command runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn explains_the_size_and_the_price() {
    let output = assemble(&project(), &["size", "shop"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));

    for words in [
        "shop: 0.25 vCPU · 1 GB on X86_64",
        // 600 MiB do not fit the 512 MiB of the smallest size, so 88 MiB less would.
        "web requires 600 of the 600 MiB",
        "88 MiB less would fit 0.25 vCPU · 0.5 GB: $1.62 less a month",
        "2 to 5 tasks: $21.26 to $53.16 a month",
        "prices of us-east-1, 2026-03; the table has none for eu-central-1",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }

    // The table of `render` names the container that sets the size.
    let table = out(&assemble(&project(), &["render", "shop"]));
    assert!(table.contains("web (memory)"), "{table}");
}

#[test]
fn prints_the_size_as_json() {
    let output = assemble(&project(), &["size", "shop", "--format", "json"]);
    let size: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(size["constraints"][0]["container"], "web");
    assert_eq!(size["constraints"][0]["excess"], 88);
    assert_eq!(size["size"]["memory"], 1024);
    assert_eq!(size["tasks"]["max"], 5);
}

#[test]
fn the_projects_prices_are_used_unless_a_flag_overrides_them() {
    let project = project();
    let prices = |region: &str, vcpu: u32| {
        format!(
            "date: '2027-01'\nregions: {{ {region}: {{ X86_64: {{ vcpu: {vcpu}, gb: 0 }} }} }}\n"
        )
    };

    write(
        project.path(),
        "assemblies/prices.yaml",
        &prices("eu-central-1", 4),
    );
    write(project.path(), "other.yaml", &prices("eu-central-1", 8));

    let own = out(&assemble(&project, &["size", "shop"]));
    assert!(own.contains("prices of eu-central-1, 2027-01\n"), "{own}");
    // 0.25 vCPU at $4 an hour, 730 hours a month.
    assert!(own.contains("$730.00"), "{own}");

    let other = out(&assemble(
        &project,
        &["size", "shop", "--prices", "other.yaml"],
    ));

    assert!(other.contains("$1460.00"), "{other}");
    // The price table is in `assemblies/` but is not a manifest.
    let rendered = assemble(&project, &["render", "--all"]);
    assert_eq!(rendered.status.code(), Some(0), "{}", err(&rendered));

    assert!(
        out(&rendered).contains("$730.00 a month"),
        "{}",
        out(&rendered)
    );
}

#[test]
fn an_invalid_price_table_is_reported_with_its_line() {
    let project = project();
    write(
        project.path(),
        "assemblies/prices.yaml",
        "date: '2027'\nregions:\n  eu: { X86_64: { vcpu: cheap } }\n",
    );

    let output = assemble(&project, &["size", "shop"]);
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    assert!(
        text.contains("error[M02]") && text.contains("assemblies/prices.yaml:3:"),
        "{text}"
    );
}

#[test]
fn explains_the_size_of_a_task_definition() {
    let project = project();
    write(
        project.path(),
        "task.json",
        r#"{ "family": "plain", "cpu": "1 vCPU", "memory": "2GB",
             "runtimePlatform": { "cpuArchitecture": "ARM64" },
             "containerDefinitions": [{ "name": "app", "image": "app:1", "cpu": 200, "memory": 512 }] }"#,
    );

    let text = out(&assemble(&project, &["size", "task.json"]));
    for words in [
        "plain: 1 vCPU · 2 GB on ARM64",
        "200 CPU units and 512 MiB, which fit 0.25 vCPU · 0.5 GB: $21.63 less a month",
        "prices of us-east-1, 2026-03\n",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

const WEB: &str = r#"schema: 1
name: web
kind: app
summary: Responds
image: ${registry}/web:1
provides: { http: { setting: listen, port: 8080 } }
settings:
  listen: { type: string, default: "127.0.0.1:8080", doc: address to listen on }
size: { cpu: 64, memory: 64, weight: 1 }
"#;

const VALUES: &str = r#"account: "111122223333"
region: eu-central-1
registry: registry.example
"#;

const SHOP: &str = "name: shop
app: web
size: { containers: { web: { memory: 600 } } }
service: { min: 2, max: 5, target: { cpu: 60 } }
";
