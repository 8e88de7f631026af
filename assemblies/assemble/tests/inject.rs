//! `assemble inject`, run as a user runs it, with the components that ship.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use task_definition::source::Source;
use task_definition::{TaskDefinition, read};
use tempfile::TempDir;

const CERTIFICATE: &str =
    "certificate=arn:aws:secretsmanager:eu-west-1:222233334444:secret:tls-Ab1Cd2";

fn assemble(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .arg("--project")
        .arg(root)
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

fn file(folder: &TempDir, name: &str, text: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    let name = path.display().to_string();
    (path, name)
}

fn definition(path: &Path) -> TaskDefinition {
    let text = fs::read_to_string(path).expect("a file");
    read(&Source::new("task", text))
        .expect("a definition")
        .definition
}

#[test]
fn shows_the_difference_and_writes_only_when_told_to() {
    let folder = TempDir::new().expect("a folder");
    let (path, name) = file(&folder, "task.json", TASK);
    let arguments = [
        "inject",
        "tls-proxy",
        "--into",
        &name,
        "--secret",
        CERTIFICATE,
    ];

    let shown = assemble(&arguments);
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    assert!(
        out(&shown).contains("+      \"name\": \"tls-proxy\","),
        "{}",
        out(&shown)
    );
    assert!(out(&shown).contains("\n@@ -"), "{}", out(&shown));
    assert!(err(&shown).contains("--write"), "{}", err(&shown));

    assert_eq!(fs::read_to_string(&path).expect("a file"), TASK);
    let written = assemble(&[&arguments[..], &["--write"]].concat());
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));

    let once = fs::read_to_string(&path).expect("a file");
    assert!(definition(&path).container("tls-proxy").is_some());
    let again = assemble(&[&arguments[..], &["--write"]].concat());
    assert_eq!(
        (out(&again).as_str(), err(&again).as_str()),
        ("", "no change\n")
    );
    assert_eq!(fs::read_to_string(&path).expect("a file"), once);

    let removed = assemble(&[
        "inject",
        "tls-proxy",
        "--into",
        &name,
        "--remove",
        "--write",
    ]);

    assert_eq!(removed.status.code(), Some(0), "{}", err(&removed));
    assert_eq!(
        definition(&path),
        read(&Source::new("t", TASK)).expect("ours").definition
    );
}

#[test]
fn takes_what_describe_answers_and_writes_yaml_into_yaml() {
    let folder = TempDir::new().expect("a folder");
    let answer = format!(
        "{{ \"taskDefinition\": {} }}",
        TASK.replace("\"family\"", "\"revision\": 3, \"family\"")
    );
    let (_, name) = file(&folder, "answer.json", &answer);
    let target = folder.path().join("new.yaml");
    let output = assemble(&[
        "inject",
        "telemetry-forwarder",
        "--into",
        &name,
        "--set",
        "endpoint=https://otlp.example",
        "--out",
        &target.display().to_string(),
    ]);

    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = fs::read_to_string(&target).expect("a file");
    assert!(text.starts_with("family: shop\n"), "{text}");

    let task = definition(&target);
    let web = task.container("web").expect("web");
    assert_eq!(
        web.variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        Some("http://127.0.0.1:4318")
    );
    assert_eq!(web.depends_on[0].container_name, "telemetry-forwarder");
}

#[test]
fn what_breaks_a_rule_that_was_kept_is_not_written() {
    let folder = TempDir::new().expect("a folder");
    let (path, name) = file(&folder, "task.json", TASK);
    let output = assemble(&[
        "inject",
        "tls-proxy",
        "--into",
        &name,
        "--secret",
        "certificate=arn:aws:secretsmanager:x",
        "--write",
    ]);

    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("error[S01]"), "{}", err(&output));
    assert_eq!(fs::read_to_string(&path).expect("a file"), TASK);

    let missing = assemble(&["inject", "tls-proxy", "--into", &name]);
    assert_eq!(missing.status.code(), Some(1), "{}", err(&missing));
    assert!(err(&missing).contains("M12"), "{}", err(&missing));

    let nobody = assemble(&["inject", "tls-prox", "--into", &name]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(
        err(&nobody).contains("write `tls-proxy`"),
        "{}",
        err(&nobody)
    );
}

const TASK: &str = r#"{
  "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
  "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::222233334444:role/ecsTaskExecutionRole",
  "containerDefinitions": [
    { "name": "web", "image": "web:1.2", "portMappings": [{ "containerPort": 80 }],
      "environment": [{ "name": "LISTEN", "value": "0.0.0.0:80" }] }
  ]
}"#;
