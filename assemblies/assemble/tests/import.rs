//! `assemble import` from the command line.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use diagnostics::source::Source;
use task_definition::{normalise, read};
use tempfile::TempDir;

fn assemble(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .expect("the command runs")
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn project() -> TempDir {
    let project = TempDir::new().expect("a folder");
    fs::create_dir(project.path().join("assemblies")).expect("a folder");
    fs::write(project.path().join("task.json"), TASK).expect("a file");
    project
}

fn normal(text: &str) -> String {
    let located = read(&Source::new("task.json", text)).expect("a definition");
    normalise(&located.definition).to_json()
}

#[test]
fn an_imported_assembly_passes_check_and_renders_to_the_same_definition() {
    let project = project();
    let root = project.path();
    let output = assemble(root, &["import", "task.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));

    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    for path in [
        "shop.yaml",
        "values/shop.yaml",
        "components/web/component.yaml",
    ] {
        assert!(
            written.contains(&format!("assemblies/{path}\n")),
            "{written}"
        );
    }

    let check = assemble(root, &["check", "assemblies/shop.yaml", "--values", "shop"]);
    assert_eq!(check.status.code(), Some(0), "{}", err(&check));
    let render = assemble(root, &["render", "shop", "--values", "shop"]);
    assert_eq!(render.status.code(), Some(0), "{}", err(&render));
    let rendered = root.join("assemblies/rendered/shop/task-definition.json");
    let rendered = fs::read_to_string(rendered).expect("a document");
    // Compared in normal form: field order and explicit defaults may differ.
    assert_eq!(normal(&rendered), normal(TASK));
}

#[test]
fn does_not_overwrite_files_without_force() {
    let project = project();
    let root = project.path();
    let manifest = root.join("assemblies/shop.yaml");
    fs::write(&manifest, "name: shop # mine\n").expect("a file");

    let output = assemble(root, &["import", "task.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("assemblies/shop.yaml"),
        "{}",
        err(&output)
    );
    assert!(!root.join("assemblies/values").exists(), "all or nothing");

    let mine = fs::read_to_string(&manifest).expect("a file");
    assert_eq!(mine, "name: shop # mine\n");
    let output = assemble(root, &["import", "task.json", "--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));

    // Files with the same content are no conflict.
    let again = assemble(root, &["import", "task.json"]);
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
}

#[test]
fn name_app_and_directory_can_be_chosen() {
    let project = project();
    let root = project.path();
    let arguments = [
        "import",
        "task.json",
        "--name",
        "front",
        "--app",
        "cache",
        "--output",
        "there",
    ];

    let output = assemble(root, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let manifest = fs::read_to_string(root.join("there/front.yaml")).expect("a manifest");
    assert!(manifest.contains("\napp: cache\n"), "{manifest}");
    // The family stays, so that the revisions of the task definition continue.
    assert!(manifest.contains("family: shop"), "{manifest}");
    let output = assemble(root, &["import", "task.json", "--app", "wep"]);

    assert_eq!(output.status.code(), Some(2));
    // A misspelt container is answered with the names of all.
    assert!(err(&output).contains("web, cache"), "{}", err(&output));
}

#[test]
fn rejects_an_ec2_definition_with_every_reason() {
    let project = project();
    let text = TASK.replace("FARGATE", "EC2").replace("awsvpc", "bridge");
    fs::write(project.path().join("ec2.json"), text).expect("a file");
    let output = assemble(project.path(), &["import", "ec2.json"]);
    assert_eq!(output.status.code(), Some(2));
    for field in ["`requiresCompatibilities`", "`networkMode`"] {
        assert!(err(&output).contains(field), "{}", err(&output));
    }
}

const TASK: &str = r#"{
  "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
  "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::222233334444:role/ecsTaskExecutionRole",
  "containerDefinitions": [
    { "name": "web", "image": "web:1.2", "portMappings": [{ "containerPort": 80 }],
      "environment": [{ "name": "CACHE", "value": "127.0.0.1:6379" }] },
    { "name": "cache", "image": "redis:7.4", "essential": false }
  ]
}"#;
